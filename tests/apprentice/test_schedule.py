"""When a fine-tune is due."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st

from apprentice.schedule import GRACE, next_due, overdue, why_train
from apprentice.settings import LocalSettings
from apprentice.state import LifecycleState
from tests.apprentice.brain import T0, task_settings

LATER = T0 + timedelta(days=7)


def trained(**more: object) -> LifecycleState:
    """Version 1 was trained at T0 on 100 examples."""
    start: dict[str, object] = {
        "examples": 100,
        "trained_examples": 100,
        "trained_at": T0,
        "version": 1,
        "fine_tunes": 1,
    }
    return LifecycleState.model_validate(start | more)


@pytest.mark.parametrize(("examples", "holdout", "due"), [(49, 9, False), (50, 4, False), (50, 5, True)])
def test_the_first_fine_tune_waits_for_the_examples_of_phase_one_and_enough_to_judge_it_by(
    examples: int, holdout: int, due: bool
) -> None:
    assert bool(why_train(LifecycleState(examples=examples, holdout=holdout), task_settings(), T0)) is due


@pytest.mark.parametrize(("new", "due"), [(99, False), (100, True)])
def test_a_batch_of_new_examples_starts_a_fine_tune(new: int, due: bool) -> None:
    assert bool(why_train(trained(examples=100 + new), task_settings(), T0)) is due


@pytest.mark.parametrize(("new", "due"), [(1999, False), (2000, True)])
def test_a_large_data_set_asks_for_a_share_of_it(new: int, due: bool) -> None:
    state = trained(examples=10_000 + new, trained_examples=10_000)
    assert bool(why_train(state, task_settings(), T0)) is due


@pytest.mark.parametrize("blocked", [{"training": 2}, {"coaching_paused": True}, {"examples": 100}])
def test_none_starts_while_one_runs_or_coaching_is_paused_or_nothing_is_new(blocked: dict[str, object]) -> None:
    state = trained(**({"examples": 900, "retrain_reason": "a drop"} | blocked))
    assert why_train(state, task_settings(local=LocalSettings(retrain_every=timedelta(days=1))), LATER) is None


def test_time_alone_starts_one_if_there_is_something_new() -> None:
    settings = task_settings(local=LocalSettings(retrain_every=timedelta(days=7)))
    state = trained(examples=101)
    assert next_due(state, settings) == LATER
    assert why_train(state, settings, LATER - timedelta(seconds=1)) is None
    assert why_train(state, settings, LATER) == "1 new example since 2026-03-02 12:00"
    assert next_due(trained(), settings) is None


def test_a_retraining_before_its_time_does_not_put_off_the_first_real_one() -> None:
    early = trained(examples=50, holdout=10, trained_examples=3, version=None)
    assert why_train(early, task_settings(), T0) == "the first 50 examples"


def test_a_fine_tune_that_never_reports_is_overdue() -> None:
    settings, state = task_settings(local=LocalSettings(training_timeout=timedelta(hours=6))), trained(training=2)
    end = T0 + timedelta(hours=6) + GRACE
    assert next_due(state, settings) == end
    assert not overdue(state, settings, end - timedelta(seconds=1))
    assert overdue(state, settings, end)


@limits(max_examples=30, deadline=None)
@given(st.integers(1, 300), st.floats(0.1, 2.0), st.booleans())
def test_the_total_of_all_training_sets_stays_proportional_to_the_examples(
    batch: int, growth: float, succeeds: bool
) -> None:
    """Sizes grow by `growth` at least, so their sum is at most last * (1 + 1/growth), plus the small first ones."""
    settings = task_settings(local=LocalSettings(fine_tune_batch_size=batch, fine_tune_growth=growth))
    state, sizes = LifecycleState(version=1 if succeeds else None, holdout=10), list[int]()
    for _ in range(20_000):
        state.examples += 1
        if why_train(state, settings, T0):
            state.trained_at, state.trained_examples = T0, state.examples
            sizes.append(state.examples)
    linear = [size for size in sizes if size * growth >= batch]
    fixed = [size for size in sizes if size * growth < batch]
    assert sum(linear) <= 20_000 * (1 + 1 / growth) + 20_000
    assert len(fixed) <= 1 / growth + 2
