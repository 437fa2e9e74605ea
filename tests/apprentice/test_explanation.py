"""The sentence an operator reads: true and well-formed in every state."""

import re
from datetime import timedelta
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apprentice.confidence.window import correlation
from apprentice.explanation import explain
from apprentice.messages import Phase, Promise, VersionStatus
from apprentice.release import Release
from apprentice.settings import QualitySettings
from apprentice.state import LifecycleState
from tests.apprentice.brain import T0, World, autonomous, coached, comparisons, promised, task_settings

SETTINGS = task_settings()
AUTONOMOUS: dict[str, Any] = {"phase": 3, "version": 2, "rate": 0.02, "defer_below": 0.0}
ENDED = {"version": 1, "at": T0, "train": 40, "holdout": 10}
REJECTED = {**ENDED, "state": "rejected", "reason": "hold-out agreement 0.300 on 10 examples is below the threshold"}
FAILED = {**ENDED, "state": "failed", "reason": "no memory"}


NOTHING = Promise(target=0.85, confidence=0.95, scope="local")
PROVEN = NOTHING.model_copy(update={"threshold": 0.0, "share": 1.0, "agreement": 0.97})
AHEAD: dict[str, Any] = {"next_share": 0.62, "next_agreement": 0.93, "needed": 340}


def sentence(*scores: float, forced: bool = False, promise: Promise = NOTHING, **state: Any) -> str:
    held = LifecycleState.model_validate({**state, "window": comparisons(*scores)})
    return explain(held, SETTINGS, correlation(held.window), promise, forced=forced)


@pytest.mark.parametrize("phase", list(Phase))
def test_a_run_of_an_earlier_release_says_nothing_of_proofs_that_it_does_not_go_by(phase: Phase) -> None:
    brain = coached(release=Release.V0_3, phase=phase, window=comparisons(*[1.0] * 40), rate=0.1, defer_below=0.4)
    status = brain.status(T0)
    assert status.promise is None
    assert "nothing is proven" not in status.explanation
    assert "the remote model answers" not in status.explanation
    if phase is Phase.AUTONOMOUS:
        assert "version 1 serves what it is sure enough of, 10.0% of requests are checked" in status.explanation
        assert "goes on by its rules until it rolls over" in status.explanation


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
    assert sentence(*[1.0] * 19, **coaching).endswith("correlation 1.00, at least 0.83; needs 1 more comparison")
    ahead = NOTHING.model_copy(update=AHEAD)
    assert sentence(*[1.0] * 83, *[0.0] * 17, promise=ahead, **coaching) == (
        "version 1 shadows the remote model: correlation 0.83, at least 0.74; needs a lower bound of 0.85 on the "
        "surest 62% of requests (agreement 0.93); about 340 more comparisons"
    )
    assert sentence(*[1.0] * 16, *[0.0] * 4, **coaching).endswith(
        "needs a lower bound of 0.85, which this version will not reach on any notable share; a better one may"
    )


SERVES = "version 2 serves: all answers (100% of requests) are proven to agree at 0.85 or better, "


@pytest.mark.parametrize(
    ("state", "promise", "said"),
    [
        ({}, PROVEN, SERVES + "2.0% of them are checked; "),
        ({"rate": 1.0}, PROVEN, SERVES + "but everything is still compared; "),
        ({"coaching_paused": True}, PROVEN, "version 2 serves unwatched, coaching is paused: "),
        (
            {"defer_below": 0.4},
            PROVEN.model_copy(update={"threshold": 0.4, "share": 0.6}),
            "version 2 serves: answers at least 0.40 sure (60% of requests) are proven to agree at 0.85 or better, "
            "2.0% of them are checked; ",
        ),
        (
            {"defer_below": 0.4},
            PROVEN.model_copy(update={"threshold": 0.4, "share": 0.6, "scope": "served"}),
            "version 2 serves: everything served is proven to agree at 0.85 or better with answers at least 0.40 sure "
            "served locally, 2.0% of them are checked; ",
        ),
    ],
)
def test_it_says_who_serves_and_how_closely_it_is_watched(state: dict[str, Any], promise: Promise, said: str) -> None:
    told = sentence(*[1.0] * 100, promise=promise, **(AUTONOMOUS | state))
    assert told == said + "correlation 1.00, at least 0.96"


def test_it_says_that_the_remote_model_answers_where_nothing_is_proven_and_what_would_prove_more() -> None:
    state = AUTONOMOUS | {"defer_below": 1.0}
    told = sentence(1.0, promise=NOTHING.model_copy(update=AHEAD), **state)
    assert told.startswith("the remote model answers, as nothing is proven of version 2: correlation 1.00, at least ")
    assert told.endswith("on the surest 62% of requests (agreement 0.93); about 340 more comparisons")
    more = PROVEN.model_copy(update={**AHEAD, "share": 0.3, "next_share": 1.0, "needed": 1})
    assert sentence(1.0, promise=more, **AUTONOMOUS).endswith(
        "on all requests (agreement 0.93); about 1 more comparison"
    )


def test_paused_coaching_is_no_unwatched_serving_where_nothing_is_proven() -> None:
    told = sentence(1.0, **(AUTONOMOUS | {"defer_below": 1.0}), coaching_paused=True)
    assert told.startswith("the remote model answers, as nothing is proven of version 2: ")


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
    repeated=st.integers(0, 100),
    dry=st.integers(0, 200),
    training=st.none() | st.just(2),
    versions=st.sampled_from([[], [REJECTED], [FAILED]]),
    paused=st.booleans(),
    coaching=st.booleans(),
    rate=st.floats(0.001, 1.0),
    defer_below=st.floats(0, 1),
    scores=st.lists(st.floats(0, 1), max_size=30),
    promise=st.builds(
        Promise,
        target=st.floats(0, 1),
        confidence=st.just(0.95),
        scope=st.sampled_from(["local", "served"]),
        threshold=st.none() | st.floats(0, 1),
        share=st.floats(0, 1),
        next_share=st.none() | st.floats(0, 1),
        next_agreement=st.none() | st.floats(0, 1),
        needed=st.none() | st.integers(1, 10**6),
    ),
)
def test_every_state_has_one_clean_sentence(
    phase: Phase,
    examples: int,
    holdout: int,
    trained: int,
    repeated: int,
    dry: int,
    training: int | None,
    versions: list[dict[str, Any]],
    paused: bool,
    coaching: bool,
    rate: float,
    defer_below: float,
    scores: list[float],
    promise: Promise,
) -> None:
    said = sentence(
        *scores,
        promise=promise,
        phase=phase,
        version=None if phase is Phase.COLLECTING else 1,
        examples=examples,
        holdout=holdout,
        trained_examples=min(trained, examples),
        repeated=repeated,
        dry=dry,
        training=training,
        versions=[VersionStatus.model_validate(version) for version in versions],
        coaching_paused=paused,
        coaching=coaching,
        rate=rate,
        defer_below=defer_below,
    )
    assert not re.search(r"None|\b1 more (examples|comparisons|answers)|\b0 more|-\d+ more|was failed|  |\.$", said), (
        said
    )


def test_a_brain_tells_its_own_story() -> None:
    world = World(autonomous(comparisons(*[1.0] * 100, confidence=1.0)))
    world.send(5)
    assert re.fullmatch(
        r"version 1 serves: .* \(100% of requests\) are proven .* are checked; correlation 1\.00, at least .*",
        world.brain.status(world.now).explanation,
    )


def test_a_brain_that_shadows_tells_how_far_its_promise_is() -> None:
    world = World(coached(), agrees=lambda confidence: 0.93, confidence=lambda rng: 0.95)
    world.send(40)
    told = world.brain.status(world.now).explanation
    assert re.search(r"correlation 0\.\d\d, at least 0\.\d\d; needs a lower bound of 0\.85 on .*; about \d+ more", told)


@pytest.mark.parametrize("scope", ["local", "served"])
def test_a_proof_that_waits_for_a_stricter_one_is_in_sight(scope: Literal["local", "served"]) -> None:
    """In scope `served` only the strictest rung is given error to begin with: the others are not out of reach."""
    settings = task_settings(quality=QualitySettings(scope=scope))
    world = World(coached(settings), agrees=lambda confidence: 0.93, confidence=lambda rng: 0.5)
    world.send(12)
    promise = promised(world.brain)
    assert promise.needed
    assert promise.next_share == 1.0
