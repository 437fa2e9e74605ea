"""A version is promoted only if it passes on examples that nobody was trained on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apprentice.messages import Validation
from apprentice.promotion import LEAST_HOLDOUT, judge


def validation(mean: float | None, *, holdout: int = 50, incumbent: float | None = None) -> Validation:
    return Validation(holdout=holdout, mean=mean, low=mean, high=mean, incumbent_mean=incumbent)


@pytest.mark.parametrize(
    ("mean", "incumbent", "promoted"),
    [
        (0.50, None, True),
        (0.4999, None, False),
        (0.90, 0.90, True),
        (0.90, 0.91, False),
        (0.45, 0.10, False),
    ],
)
def test_it_must_reach_the_threshold_and_not_fall_behind_the_incumbent(
    mean: float, incumbent: float | None, promoted: bool
) -> None:
    assert judge(validation(mean, incumbent=incumbent), 0.5)[0] is promoted


def test_it_takes_enough_hold_out_examples_to_judge() -> None:
    assert judge(validation(1.0, holdout=LEAST_HOLDOUT), 0.5)[0]
    assert judge(validation(1.0, holdout=LEAST_HOLDOUT - 1), 0.5) == (
        False,
        "only 4 hold-out examples; 5 are needed to judge",
    )
    assert not judge(validation(None, holdout=0), 0.5)[0]


@given(st.floats(0, 1), st.none() | st.floats(0, 1), st.floats(0, 1))
def test_every_verdict_names_its_numbers(mean: float, incumbent: float | None, threshold: float) -> None:
    promoted, reason = judge(validation(mean, incumbent=incumbent), threshold)
    assert f"{mean:.3f} on 50" in reason
    assert promoted == (mean >= max(threshold, incumbent or 0.0))
