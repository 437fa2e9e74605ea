"""The phase table of the design, cell by cell."""

import pytest

from apprentice.before_0_4.phases import next_phase
from apprentice.confidence.interval import wilson
from apprentice.messages import Interval, Phase
from apprentice.settings import ConfidenceThresholds

THRESHOLDS = ConfidenceThresholds()


def measured(mean: float, low: float = 0.75, n: int = 100) -> Interval:
    return Interval(mean=mean, low=min(low, mean), high=1.0, n=n)


def move(
    phase: Phase,
    correlation: Interval | None = None,
    *,
    examples: int = 0,
    can_answer: bool = True,
    compared: int = 100,
    shifted: bool = False,
) -> Phase | None:
    to = next_phase(
        phase,
        examples=examples,
        can_answer=can_answer,
        compared=compared,
        correlation=correlation,
        shifted=shifted,
        thresholds=THRESHOLDS,
    )
    return to[0] if to else None


@pytest.mark.parametrize(
    ("examples", "can_answer", "to"),
    [(49, True, None), (50, False, None), (50, True, Phase.COACHING), (500, True, Phase.COACHING)],
)
def test_collecting_ends_with_enough_examples_and_a_model_that_can_answer(
    examples: int, can_answer: bool, to: Phase | None
) -> None:
    assert move(Phase.COLLECTING, examples=examples, can_answer=can_answer) is to


@pytest.mark.parametrize(
    ("mean", "low", "compared", "to"),
    [
        (0.85, 0.70, 20, Phase.AUTONOMOUS),
        (0.8499, 0.80, 20, None),
        (0.95, 0.6999, 20, None),
        (1.0, 0.83, 19, None),
    ],
)
def test_coaching_ends_with_mean_lower_bound_and_enough_comparisons(
    mean: float, low: float, compared: int, to: Phase | None
) -> None:
    assert move(Phase.COACHING, measured(mean, low), compared=compared) is to


def test_nothing_is_concluded_from_no_comparison() -> None:
    assert move(Phase.COACHING, None, compared=0) is None
    assert move(Phase.AUTONOMOUS, None, compared=0) is None


@pytest.mark.parametrize(
    ("mean", "n", "to"), [(0.4999, 20, Phase.COACHING), (0.50, 100, None), (0.1, 19, None), (0.6, 100, None)]
)
def test_autonomy_ends_below_the_emergency_threshold(mean: float, n: int, to: Phase | None) -> None:
    assert move(Phase.AUTONOMOUS, measured(mean, n=n)) is to


def test_a_proven_shift_ends_autonomy_at_any_correlation_and_window() -> None:
    assert move(Phase.AUTONOMOUS, measured(0.9, n=12), compared=12, shifted=True) is Phase.COACHING


@pytest.mark.parametrize("phase", [Phase.COLLECTING, Phase.COACHING])
def test_a_shift_means_nothing_while_the_remote_model_answers(phase: Phase) -> None:
    assert move(phase, measured(0.6), shifted=True) is None


def test_the_reason_tells_the_numbers() -> None:
    low, high = wilson(0.9, 40)
    move_ = next_phase(
        Phase.COACHING,
        examples=60,
        can_answer=True,
        compared=40,
        correlation=Interval(mean=0.9, low=low, high=high, n=40),
        shifted=False,
        thresholds=THRESHOLDS,
    )
    assert move_ == (Phase.AUTONOMOUS, "correlation 0.90 (at least 0.77) over 40 comparisons")
