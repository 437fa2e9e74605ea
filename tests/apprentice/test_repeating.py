"""A task that is asked the same few things for ever is taught, tried and trusted as any other."""

from typing import Any

import pytest

from apprentice.lifecycle import Lifecycle
from apprentice.messages import ApplySettings, Comparison, Phase
from apprentice.release import Release
from apprentice.schedule import begin, why_train
from apprentice.settings import ConfidenceThresholds
from apprentice.state import LifecycleState
from tests.apprentice.brain import T0, World, comparisons, failed, task_settings, validated

FIRST = 50


def sent(inputs: int, requests: int, **more: Any) -> World:
    """After so many requests of a task that begins, and is asked no more than these things."""
    world = World(Lifecycle(task_settings()), inputs=inputs, confidence=lambda rng: 0.95, **more)
    world.send(requests)
    return world


def end(world: World, compared: list[Comparison]) -> None:
    """The fine-tune that runs is promoted with these hold-out comparisons; it knows what there was at its beginning."""
    outcome = validated(world.brain.state.fine_tunes, compared).model_copy(update={"train": 0, "holdout": 0})
    world.act(world.brain.observe(outcome, world.now))


def said(world: World) -> str:
    return world.brain.status(world.now).explanation


def test_it_goes_through_all_phases_though_its_inputs_are_fewer_than_the_examples_asked_for() -> None:
    world = sent(30, FIRST - 1)
    assert not world.started
    world.send()
    assert [start.request.reason for start in world.started] == [f"the first {len(world.known)} examples"]
    assert world.started[0].request.insist, "each input counts once in the hold-out: that tells little"
    end(world, comparisons(*[0.0] * 6, confidence=0.95))
    assert said(world) == "version 1 shadows the remote model; no comparison yet"
    world.send(80)
    assert world.brain.state.phase is Phase.AUTONOMOUS, said(world)
    world.send(3000)
    assert sum(not route.remote for route in world.routes[-1000:]) > 900


def test_what_is_wrong_on_what_comes_never_serves() -> None:
    world = sent(30, FIRST, agrees=lambda confidence: 0.6)
    end(world, comparisons(*[1.0] * 6, confidence=0.95))
    world.send(2000)
    assert world.brain.state.phase is Phase.COACHING
    assert all(route.remote for route in world.routes)


@pytest.mark.parametrize("inputs", [3, 12])
def test_it_does_not_wait_for_hold_out_examples_that_never_come(inputs: int) -> None:
    world = sent(inputs, FIRST)
    assert not world.started
    left = FIRST - world.brain.state.repeated
    hold_out = 5 - world.brain.state.holdout
    needs = f"needs {hold_out} more hold-out examples to judge a local model by"
    assert said(world).endswith(f"{needs}, or {left} more answers to inputs that came before")
    world.send(left - 1)
    assert not world.started
    world.send()
    assert len(world.started) == 1


def test_without_two_examples_to_train_on_nothing_starts() -> None:
    world = sent(1, 300)
    assert not world.started
    assert said(world).endswith("or 2 more examples to train on")


def test_the_last_inputs_are_taught_when_no_other_has_come_for_a_batch_of_answers() -> None:
    world = sent(45, FIRST, agrees=lambda confidence: 0.6)
    end(world, comparisons(*[1.0] * 6))
    known = len(world.known)
    while len(world.started) == 1 and world.sent < 1000:
        world.send()
    new = 45 - known
    assert world.started[1].request.reason == f"{new} new examples, and no other in the last 100 answers"
    assert world.started[1].request.insist
    end(world, comparisons(*[1.0] * 6, version=2))
    world.send(1000)
    assert len(world.started) == 2


def test_a_fine_tune_that_failed_is_tried_again_after_a_batch_of_answers() -> None:
    world = sent(30, FIRST)
    world.brain.observe(failed(1), world.now)
    while len(world.known) < 30:
        world.send()
    dry = world.brain.state.dry
    assert said(world).endswith(f"more examples, or {100 - dry} more answers without a new one")
    world.send(99 - dry)
    assert len(world.started) == 1
    world.send()
    assert len(world.started) == 2
    world.brain.observe(failed(2), world.now)
    world.send(100)
    assert len(world.started) == 3


def test_status_counts_answers_where_inputs_came_again_and_examples_where_none_did() -> None:
    world = sent(30, 40)
    repeated = 40 - len(world.known)
    assert said(world) == (
        f"collecting answers: 40 of 50 before the local model is tried, {repeated} of them to inputs that came again"
    )
    world = World(Lifecycle(task_settings()))
    world.send(40)
    assert said(world) == "collecting examples: 40 of 50 before the local model is tried"


def test_a_run_of_an_earlier_release_goes_on_by_its_rules() -> None:
    world = World(Lifecycle(task_settings(), release=Release.V0_3), inputs=30)
    world.send(500)
    assert not world.started
    assert said(world) == "collecting examples: 30 of 50 before the local model is tried"
    rolled_over = World(Lifecycle(task_settings(), world.brain.state), inputs=30, known=world.known)
    rolled_over.send(20)
    assert len(rolled_over.started) == 1


def test_where_hardly_any_input_comes_again_the_hold_out_decides() -> None:
    few = LifecycleState(examples=60, holdout=12, drawn=69, repeated=9)
    assert why_train(few, task_settings(), T0) == "the first 60 examples"
    assert not begin(few, task_settings(), "digest", "due", T0).insist
    many = few.model_copy(update={"repeated": 10})
    assert begin(many, task_settings(), "digest", "due", T0).insist
    has_proofs = many.model_copy(update={"version": 1})
    assert not begin(has_proofs, task_settings(), "digest", "due", T0).insist


def test_another_schema_begins_to_count_anew() -> None:
    world = sent(30, 45)
    other = task_settings(thresholds=ConfidenceThresholds(phase1_to_phase2=FIRST)).model_copy(
        update={"schema_version": 2}
    )
    world.act(world.brain.operate(ApplySettings(settings=other), world.now))
    assert said(world) == "collecting examples: 0 of 50 before the local model is tried"
