"""Intervals: right at known points, and they cover what they promise to cover."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apprentice.confidence.interval import wilson


def test_wilson_gives_the_published_values() -> None:
    # Newcombe 1998, Statistics in Medicine 17, table I: 81 of 263, 15 of 148, 0 of 20 and 1 of 29.
    for hits, n, low, high in [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0, 0.1611)]:
        assert wilson(hits / n, n) == pytest.approx((low, high), abs=5e-5)


@given(st.floats(0, 1), st.integers(0, 10_000))
def test_wilson_holds_its_mean_and_stays_in_bounds(mean: float, n: int) -> None:
    low, high = wilson(mean, n)
    assert 0.0 <= low <= mean + 1e-12
    assert mean - 1e-12 <= high <= 1.0


@given(st.floats(0, 1), st.integers(1, 1000), st.integers(1, 10))
def test_more_evidence_never_widens_wilson(mean: float, n: int, factor: int) -> None:
    few, many = wilson(mean, n), wilson(mean, n * factor)
    assert many[1] - many[0] <= few[1] - few[0] + 1e-12


def test_without_a_sample_nothing_is_known() -> None:
    assert wilson(0.5, 0) == (0.0, 1.0)


@pytest.mark.parametrize("n", [20, 100])
def test_wilson_covers_the_truth_as_often_as_it_says(n: int) -> None:
    """Exact coverage: the probabilities of all counts whose interval holds the truth, averaged over truths."""
    coverages = []
    for truth in [0.02 + 0.01 * step for step in range(97)]:
        covered = [k for k in range(n + 1) if wilson(k / n, n)[0] <= truth <= wilson(k / n, n)[1]]
        coverages.append(sum(math.comb(n, k) * truth**k * (1 - truth) ** (n - k) for k in covered))
    assert sum(coverages) / len(coverages) == pytest.approx(0.95, abs=0.01)
    assert min(coverages) > 0.83


def test_wilson_is_conservative_for_scores_between_zero_and_one() -> None:
    rng, covered = random.Random(4), 0
    for _ in range(1000):
        scores = [rng.betavariate(4, 1) for _ in range(40)]
        low, high = wilson(sum(scores) / 40, 40)
        covered += low <= 0.8 <= high
    assert covered >= 990
