"""The correlation window: the plain mean of fair comparisons, with the interval that so many of them allow."""

import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apprentice.confidence.interval import wilson
from apprentice.confidence.window import correlation, mean, trend
from tests.apprentice.brain import comparisons

scores = st.lists(st.floats(0, 1), min_size=1, max_size=60)


@given(scores)
def test_the_interval_is_wilsons_of_the_plain_mean(values: list[float]) -> None:
    measured = correlation(comparisons(*values))
    assert measured is not None
    assert measured.mean == pytest.approx(statistics.fmean(values))
    assert (measured.low, measured.high) == wilson(measured.mean, len(values))
    assert measured.n == len(values)


@given(scores, st.floats(0.02, 1))
def test_the_rate_at_which_a_fair_comparison_was_made_does_not_matter(values: list[float], rate: float) -> None:
    rare = [c.model_copy(update={"propensity": rate}) for c in comparisons(*values)]
    assert correlation(rare) == correlation(comparisons(*values))


def test_an_empty_window_measures_nothing() -> None:
    assert correlation([]) is None
    assert trend(comparisons(1, 1, 1)) is None


def test_the_trend_is_the_newer_half_against_the_older() -> None:
    assert trend(comparisons(1, 1, 0, 0)) == -1.0
    assert trend(comparisons(0.5, 0.5, 0.75, 0.75, 0.75)) == 0.25


def test_the_mean_of_fair_comparisons_is_unbiased_under_a_rate_that_follows_it() -> None:
    """The rate falls as the last hundred agree more, so what is compared depends on what was seen; the truth is 0.9."""
    estimates = []
    for seed in range(60):
        rng, window = random.Random(seed), comparisons(*[1.0] * 90, *[0.0] * 10)
        for _ in range(3000):
            if rng.random() < max(0.02, 5 * (1 - mean(window[-100:]))) / 2:
                window = [*window[-99:], *comparisons(float(rng.random() < 0.9))]
        estimates.append(mean(window))
    error = statistics.stdev(estimates) / 60**0.5
    assert statistics.fmean(estimates) == pytest.approx(0.9, abs=3 * error + 0.005)
    assert error < 0.006
