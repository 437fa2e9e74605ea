"""The sampling rate: continuous in the correlation, 1.0 where autonomy begins, never under the floor."""

from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apprentice.sampling import STEPS, moved, rate
from apprentice.settings import ConfidenceThresholds, SamplingSettings

Decay = Literal["linear", "exponential", "step"]
DECAYS: tuple[Decay, ...] = ("linear", "exponential", "step")
decays = st.sampled_from(DECAYS)
floors = st.floats(1e-6, 1.0)
correlations = st.floats(0.0, 1.0)
starts = st.floats(0.75, 0.999)


def at(correlation: float, decay: Decay, floor: float = 0.02, start: float = 0.85) -> float:
    thresholds = ConfidenceThresholds(phase2_to_phase3=start)
    return rate(correlation, thresholds, SamplingSettings(decay_function=decay, min_floor=floor))


@pytest.mark.parametrize("decay", DECAYS)
def test_everything_is_checked_up_to_graduation_and_the_floor_is_left_at_perfection(decay: Decay) -> None:
    assert at(0.0, decay) == at(0.5, decay) == at(0.85, decay) == 1.0
    assert at(1.0, decay) == pytest.approx(0.02)


@given(correlations, decays, floors, starts)
def test_the_rate_never_leaves_floor_to_one_and_is_never_zero(c: float, decay: Decay, floor: float, s: float) -> None:
    assert 0.0 < floor <= at(c, decay, floor, s) <= 1.0


@given(correlations, correlations, decays, floors, starts)
def test_a_better_model_is_never_checked_more(a: float, b: float, decay: Decay, floor: float, start: float) -> None:
    assert at(max(a, b), decay, floor, start) <= at(min(a, b), decay, floor, start) + 1e-12


@given(st.floats(0.0, 0.999), st.sampled_from(["linear", "exponential"]))
def test_the_rate_is_continuous(correlation: float, decay: Decay) -> None:
    # The steepest slope of the exponential is ln(1/floor) / (1 - start), 26 at the defaults.
    assert abs(at(correlation, decay) - at(correlation + 1e-4, decay)) <= 27e-4


def test_linear_is_half_way_down_in_the_middle() -> None:
    assert at(0.925, "linear") == pytest.approx(0.51)


def test_exponential_is_the_geometric_mean_in_the_middle() -> None:
    assert at(0.925, "exponential") == pytest.approx(0.02**0.5)


def test_step_takes_five_equal_steps_of_correlation() -> None:
    middles = [0.85 + 0.03 * step + 0.015 for step in range(STEPS)]
    assert [at(c, "step") for c in middles] == pytest.approx([0.02 ** (step / STEPS) for step in range(STEPS)])
    assert at(0.91, "step") == pytest.approx(0.02**0.4)  # exactly on a step, which 0.91 - 0.85 misses in binary


def test_only_a_change_of_trend_sensitivity_moves_the_rate() -> None:
    settings = SamplingSettings(trend_sensitivity=0.05)
    assert not moved(0.9499, 0.90, settings)
    assert moved(0.95, 0.90, settings)
    assert moved(0.85, 0.90, settings)
    assert moved(0.90, None, settings)


@given(st.lists(correlations, min_size=1, max_size=50), st.floats(0.0, 1.0))
def test_many_small_changes_add_up_to_one_that_counts(path: list[float], sensitivity: float) -> None:
    settings = SamplingSettings(trend_sensitivity=sensitivity)
    anchor: float | None = None
    for correlation in path:
        if moved(correlation, anchor, settings):
            anchor = correlation
        assert anchor is not None
        assert abs(correlation - anchor) < sensitivity or correlation == anchor
