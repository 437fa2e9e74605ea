"""Two models on the same examples."""

import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apprentice.confidence.paired import MOST_ODDS, Paired, compare
from apprentice.confidence.wealth import proof
from benchmarks.coverage import evidence

pairs = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), max_size=40)


def of(pairs: list[tuple[float, float]]) -> Paired:
    return compare([after for after, _ in pairs], [before for _, before in pairs])


@given(pairs)
def test_the_bounds_hold_the_mean_gain(scores: list[tuple[float, float]]) -> None:
    low, high, odds, _ = of(scores)
    gain = math.fsum(after - before for after, before in scores) / max(1, len(scores))
    assert -1.0 <= low <= gain + 1e-9
    assert gain - 1e-9 <= high <= 1.0
    assert 0.0 <= odds <= MOST_ODDS * 1.001


@given(pairs)
def test_whoever_is_called_the_candidate_the_odds_are_the_same(scores: list[tuple[float, float]]) -> None:
    one, other = of(scores), of([(before, after) for after, before in scores])
    assert one.differ == other.differ
    if 1e-5 < one.odds < 1e5:
        assert one.odds * other.odds == pytest.approx(1.0, rel=1e-3)
        assert one.low == pytest.approx(-other.high, abs=1e-3)


def test_without_a_difference_nothing_speaks_for_either() -> None:
    assert compare([], []) == Paired(-1.0, 1.0, 1.0, 0)
    low, high, odds, differ = compare([1.0, 0.0] * 50, [1.0, 0.0] * 50)
    assert -0.15 < low < 0 < high < 0.15
    assert (odds, differ) == (1.0, 0)
    assert compare([1.0, 0.0], [0.0, 1.0]).odds == pytest.approx(1.0)


def test_more_wins_are_longer_odds_and_a_great_gain_is_proven() -> None:
    odds = [of([(1.0, 0.0)] * wins + [(0.0, 1.0)] * 5 + [(1.0, 1.0)] * 80).odds for wins in (0, 3, 5, 8, 15)]
    assert odds == sorted(odds)
    assert of([(1.0, 0.0)] * 30 + [(0.0, 1.0)] * 2 + [(1.0, 1.0)] * 68).low > 0


def test_lists_of_unequal_length_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="zip"):
        compare([1.0], [])


def test_one_sided_gains_are_covered_where_a_normal_interval_would_not_be() -> None:
    """The candidate wins on one example in twenty and never loses: at most 5% of the runs miss the gain of 0.05."""
    rng, missed = random.Random(2), 0
    for _ in range(400):
        low, high, _, _ = of([(1.0, float(rng.random() >= 0.05)) for _ in range(60)])
        missed += not low <= 0.05 <= high
    assert missed / 400 <= 0.05


def test_the_gain_is_hardly_ever_left_out_though_one_looks_at_every_example() -> None:
    rng = np.random.default_rng(4)
    draws = rng.random((2000, 500))
    halved = (1 + np.where(draws < 0.08, 1.0, 0.0) - np.where(draws > 0.95, 1.0, 0.0)) / 2  # a gain of 0.03
    low = (evidence(halved, 0.515) >= proof(0.025)).any(axis=-1)
    high = (evidence(1 - halved, 0.485) >= proof(0.025)).any(axis=-1)
    assert 0.005 <= (low | high).mean() <= 0.05
