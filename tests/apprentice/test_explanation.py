"""The sentence an operator reads: true and well-formed in every state."""

import re
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apprentice.confidence.window import correlation
from apprentice.explanation import explain
from apprentice.messages import Phase, VersionStatus
from apprentice.state import LifecycleState
from tests.apprentice.brain import T0, World, autonomous, comparisons, task_settings

SETTINGS = task_settings()
AUTONOMOUS: dict[str, Any] = {"phase": 3, "version": 2, "rate": 0.02, "defer_below": 0.0}
ENDED = {"version": 1, "at": T0, "train": 40, "holdout": 10}
REJECTED = {**ENDED, "state": "rejected", "reason": "hold-out agreement 0.300 on 10 examples is below the threshold"}
FAILED = {**ENDED, "state": "failed", "reason": "no memory"}


def sentence(*scores: float, forced: bool = False, **state: Any) -> str:
    held = LifecycleState.model_validate({**state, "window": comparisons(*scores)})
    return explain(held, SETTINGS, correlation(held.window), forced=forced)


def test_it_says_how_many_examples_are_missing() -> None:
    assert sentence(examples=12) == "collecting examples: 12 of 50 before the local model is tried"


def test_it_says_that_hold_out_examples_are_missing() -> None:
    said = "61 examples collected; needs 1 more hold-out example to judge a local model by"
    assert sentence(examples=61, holdout=4) == said


def test_it_says_that_the_fine_tune_runs_and_on_what() -> None:
    said = sentence(examples=63, trained_examples=50, training=1)
    assert said == "fine-tune 1 is running on the 50 examples collected before it"


@pytest.mark.parametrize(
    ("ended", "new", "said"),
    [
        (REJECTED, 1, f"fine-tune 1 was rejected ({REJECTED['reason']}); the next after 99 more examples"),
        (FAILED, 99, "fine-tune 1 failed (no memory); the next after 1 more example"),
    ],
)
def test_it_says_why_there_is_no_model_and_when_it_is_tried_again(ended: dict[str, Any], new: int, said: str) -> None:
    state: dict[str, Any] = {
        "examples": 50 + new,
        "holdout": 10,
        "trained_examples": 50,
        "trained_at": T0,
        "versions": [ended],
    }
    assert sentence(**state) == said
    assert sentence(**state, coaching_paused=True).endswith("; coaching is paused, so no other is started")


def test_it_says_what_the_local_model_lacks_to_serve() -> None:
    coaching: dict[str, Any] = {"phase": 2, "version": 1}
    assert sentence(**coaching) == "version 1 shadows the remote model; no comparison yet"
    assert sentence(*[1.0] * 19, **coaching).endswith("between 0.83 and 1.00; needs 1 more comparison to serve")
    assert sentence(*[1.0] * 16, *[0.0] * 4, **coaching).endswith(
        "needs a correlation of 0.85 and a lower bound of 0.70 to serve"
    )


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ({}, "version 2 serves, 2.0% of requests are checked: "),
        ({"rate": 1.0}, "version 2 may serve, but everything is still compared: "),
        ({"defer_below": 1.0}, "the remote model answers, no answer of version 2 is sure enough yet: "),
        ({"coaching_paused": True}, "version 2 serves unwatched, coaching is paused: "),
        ({"coaching": True, "rate": 1.0}, "correlation fell below coaching_trigger 0.70, so everything is compared: "),
    ],
)
def test_it_says_who_serves_and_how_closely_it_is_watched(state: dict[str, Any], said: str) -> None:
    assert sentence(*[1.0] * 100, **(AUTONOMOUS | state)) == said + "correlation 1.00, between 0.96 and 1.00"


def test_it_says_which_answers_are_deferred() -> None:
    said = sentence(1.0, **(AUTONOMOUS | {"defer_below": 0.4}))
    assert said.endswith("; answers with a confidence below 0.40 go to the remote model")


def test_an_order_in_force_comes_first() -> None:
    assert sentence(forced=True, **AUTONOMOUS) == "an operator sends everything to the remote model until resumed"
    until = T0 + timedelta(hours=1)
    said = sentence(forced=True, forced_until=until, **AUTONOMOUS)
    assert said.endswith("remote model until 2026-03-02 13:00 UTC")


@given(
    phase=st.sampled_from(Phase),
    examples=st.integers(0, 500),
    holdout=st.integers(0, 9),
    trained=st.integers(0, 500),
    training=st.none() | st.just(2),
    versions=st.sampled_from([[], [REJECTED], [FAILED]]),
    paused=st.booleans(),
    coaching=st.booleans(),
    rate=st.floats(0.001, 1.0),
    defer_below=st.floats(0, 1),
    scores=st.lists(st.floats(0, 1), max_size=30),
)
def test_every_state_has_one_clean_sentence(
    phase: Phase,
    examples: int,
    holdout: int,
    trained: int,
    training: int | None,
    versions: list[dict[str, Any]],
    paused: bool,
    coaching: bool,
    rate: float,
    defer_below: float,
    scores: list[float],
) -> None:
    said = sentence(
        *scores,
        phase=phase,
        version=None if phase is Phase.COLLECTING else 1,
        examples=examples,
        holdout=holdout,
        trained_examples=min(trained, examples),
        training=training,
        versions=[VersionStatus.model_validate(version) for version in versions],
        coaching_paused=paused,
        coaching=coaching,
        rate=rate,
        defer_below=defer_below,
    )
    assert not re.search(r"None|\b1 more (examples|comparisons)|\b0 more|-\d+ more|was failed|  |\.$", said), said


def test_a_brain_tells_its_own_story() -> None:
    world = World(autonomous(comparisons(*[1.0] * 100, confidence=1.0)))
    world.send(5)
    assert re.fullmatch(
        r"version 1 serves, 2\.0% of requests are checked: correlation 1\.00, .*",
        world.brain.status(world.now).explanation,
    )
