"""Rolling back in the brain: which versions can serve again, and what follows for the task."""

from datetime import timedelta

import pytest

from apprentice.lifecycle import Lifecycle
from apprentice.messages import (
    ApplySettings,
    Comparison,
    Phase,
    RequestOutcome,
    RolledBack,
    Validation,
    VersionStatus,
)
from apprentice.rollback import NoSuchVersion, target
from apprentice.state import LifecycleState
from tests.apprentice.brain import (
    NEVER,
    T0,
    World,
    comparisons,
    local_answer,
    remote_answer,
    request,
    task_settings,
    validated,
)

HOUR = timedelta(hours=1)


def with_versions(*promoted: bool, scores: float = 1.0) -> Lifecycle:
    """A brain in phase 3, an hour between its fine-tunes; each was promoted or rejected."""
    brain = Lifecycle(task_settings(local=NEVER), LifecycleState(examples=1000, trained_examples=1000))
    for number, passed in enumerate(promoted, start=1):
        brain.state.training = brain.state.fine_tunes = number
        compared = comparisons(*[scores] * 100, version=number)
        brain.observe(validated(number, compared, promoted=passed), T0 + number * HOUR)
    return brain


def roll_back(brain: Lifecycle, to: int, compared: list[Comparison], left: int | None = None) -> World:
    mean = sum(one.score for one in compared) / len(compared) if compared else None
    validation = Validation(holdout=len(compared), mean=mean, low=mean, high=mean, comparisons=compared)
    serving = brain.state.version if left is None else left
    assert serving is not None
    world = World(brain, now=T0 + 50 * HOUR)
    world.act(brain.observe(RolledBack(version=to, left=serving, validation=validation), world.now))
    return world


def states(brain: Lifecycle) -> dict[int, str]:
    return {one.version: one.state for one in brain.state.versions}


def test_the_version_before_serves_again_and_the_bad_one_is_rejected() -> None:
    brain = with_versions(True, True, True)
    assert target(brain.state, None) == 2
    roll_back(brain, 2, comparisons(*[0.95] * 100, version=2))
    assert brain.state.version == 2
    assert states(brain) == {1: "retired", 2: "promoted", 3: "rejected"}
    by_number = {one.version: one.reason for one in brain.status(T0).versions}
    assert by_number[2].startswith("rolled back to from version 3: hold-out agreement 0.950")
    assert by_number[3] == "an operator rolled back to version 2"


def test_the_window_begins_with_the_hold_out_comparisons_so_that_nothing_jumps() -> None:
    brain = with_versions(True, True)
    assert brain.state.phase is Phase.AUTONOMOUS
    roll_back(brain, 1, comparisons(*[1.0] * 95, *[0.0] * 5, version=1))
    status = brain.status(T0)
    assert status.phase is Phase.AUTONOMOUS
    assert status.correlation is not None
    assert status.correlation.mean == pytest.approx(0.95)
    assert status.correlation.n == 100
    assert brain.state.defer_below == 0.0
    assert {one.version for one in brain.state.window} == {1}


def test_a_version_that_is_worse_than_was_promised_does_not_serve_and_status_says_so() -> None:
    brain = with_versions(True, True)
    roll_back(brain, 1, comparisons(*[1.0, 0.0, 0.0] * 30, version=1))
    assert brain.state.version == 1
    assert brain.policy(0.999, T0).remote
    assert brain.state.phase is Phase.COACHING
    assert "version 1 shadows the remote model: correlation 0.30" in brain.status(T0).explanation


def test_in_phase_2_the_version_shadows_until_it_is_good_enough() -> None:
    brain = with_versions(True, True, scores=0.8)
    assert brain.state.phase is Phase.COACHING
    roll_back(brain, 1, comparisons(*[0.8] * 100, version=1))
    assert (brain.state.phase, brain.state.version) == (Phase.COACHING, 1)
    roll_back(brain, 2, comparisons(*[1.0] * 100, version=2))
    assert (brain.state.phase, brain.state.version) == (Phase.AUTONOMOUS, 2)


def test_without_any_comparison_everything_is_checked() -> None:
    brain = with_versions(True, True)
    roll_back(brain, 1, [])
    assert (brain.state.rate, brain.state.defer_below) == (1.0, 1.0)
    assert brain.policy(0.99, T0).remote


def test_an_answer_of_the_version_that_was_left_says_nothing_about_its_successor() -> None:
    brain = with_versions(True, True)
    asked = request(1)
    route = brain.admit(asked, 0.0, T0)
    roll_back(brain, 1, comparisons(*[1.0] * 50, version=1))
    outcome = RequestOutcome(
        request_id="r1", route=route, remote=remote_answer(), local=local_answer(2, 1.0), score=0.0
    )
    brain.observe(outcome, T0)
    assert len(brain.state.window) == 50


def test_what_can_be_rolled_back_to() -> None:
    brain = with_versions(True, False, True, True)
    assert target(brain.state, None) == 3
    assert [target(brain.state, number) for number in (1, 3, 4)] == [1, 3, 4]
    for unknown in (2, 5, 99):
        with pytest.raises(NoSuchVersion, match=rf"version {unknown} never served .*; there is 1, 3"):
            target(brain.state, unknown)


def test_rolling_back_twice_goes_two_versions_back_and_then_there_is_none() -> None:
    brain = with_versions(True, True, True)
    roll_back(brain, 2, comparisons(*[1.0] * 100, version=2))
    assert target(brain.state, None) == 1
    roll_back(brain, 1, comparisons(*[1.0] * 100, version=1))
    with pytest.raises(NoSuchVersion, match="no version served before version 1; name one of these with --to: 2, 3"):
        target(brain.state, None)
    assert states(brain) == {1: "promoted", 2: "rejected", 3: "rejected"}
    assert target(brain.state, 3) == 3


def test_the_version_before_is_the_one_that_served_last_not_the_next_lower_number() -> None:
    brain = with_versions(True, True, True)
    roll_back(brain, 1, comparisons(*[1.0] * 100, version=1))
    brain.state.training = brain.state.fine_tunes = 4
    brain.observe(validated(4, comparisons(*[1.0] * 100, version=4)), T0 + 60 * HOUR)
    assert states(brain) == {1: "retired", 2: "retired", 3: "rejected", 4: "promoted"}
    assert target(brain.state, None) == 1


def test_the_same_order_twice_changes_nothing_the_second_time() -> None:
    brain = with_versions(True, True)
    roll_back(brain, 1, comparisons(*[1.0] * 100, version=1))
    before = brain.state.model_dump()
    roll_back(brain, 1, comparisons(*[0.0] * 100, version=1), left=2)
    assert brain.state.model_dump() == before


def test_a_fine_tune_that_runs_goes_on_and_may_be_promoted() -> None:
    brain = with_versions(True, True)
    brain.state.training = brain.state.fine_tunes = 3
    roll_back(brain, 1, comparisons(*[1.0] * 100, version=1))
    assert brain.state.training == 3
    brain.observe(validated(3, comparisons(*[1.0] * 100, version=3)), T0 + 60 * HOUR)
    assert states(brain) == {1: "retired", 2: "rejected", 3: "promoted"}


def test_without_a_promoted_version_there_is_nothing_to_roll_back() -> None:
    with pytest.raises(NoSuchVersion, match="no version has been promoted yet"):
        target(with_versions(False).state, None)


def test_versions_of_another_schema_cannot_serve() -> None:
    brain = with_versions(True, True)
    other = brain.settings.model_copy(update={"output_schema": {"other": "str"}})
    brain.operate(ApplySettings(settings=other, new_version=True), T0)
    brain.state.training = brain.state.fine_tunes = 3
    brain.observe(validated(3, comparisons(*[1.0] * 100, version=3)), T0 + 60 * HOUR)
    assert brain.state.version == 3
    for order in (None, 1, 2):
        with pytest.raises(NoSuchVersion):
            target(brain.state, order)


def test_a_state_of_an_earlier_release_knows_its_versions_by_what_they_are() -> None:
    one = VersionStatus(version=1, state="retired", reason="judged", at=T0, train=80, holdout=20)
    two = one.model_copy(update={"version": 2, "state": "promoted"})
    state = LifecycleState.model_validate({"version": 2, "versions": [one.model_dump(), two.model_dump()]})
    assert target(state, None) == 1
