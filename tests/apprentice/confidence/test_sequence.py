"""The confidence sequence: its bounds, its memory, what it refuses."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apprentice.confidence.interval import wilson
from apprentice.confidence.sequence import BETS, LOG_SHARES, PRECISION, ConfidenceSequence
from apprentice.confidence.wealth import proof

observations = st.lists(st.tuples(st.floats(0, 1), st.floats(0.001, 1)), max_size=40)
means = st.floats(0.02, 0.98)


def seen(scores: list[tuple[float, float]]) -> ConfidenceSequence:
    sequence = ConfidenceSequence()
    for score, weight in scores:
        sequence.add(score, weight)
    return sequence


def plain(hits: int, misses: int) -> ConfidenceSequence:
    return seen([(1.0, 1.0)] * hits + [(0.0, 1.0)] * misses)


def exact_evidence(scores: list[tuple[float, float]], mean: float) -> float:
    """The log of the mixture's wealth without a grid, from its definition."""
    return math.log(
        math.fsum(
            math.exp(share)
            * math.prod(1 + bet / (1 + bet * mean) * weight * (score - mean) for score, weight in scores)
            for share, bet in zip(LOG_SHARES, BETS, strict=True)
        )
    )


@given(observations, means)
def test_the_grid_never_makes_evidence(scores: list[tuple[float, float]], mean: float) -> None:
    assert seen(scores).above(mean) <= exact_evidence(scores, mean) + 1e-6
    mirrored = [(1 - score, weight) for score, weight in scores]
    assert seen(scores).below(mean) <= exact_evidence(mirrored, 1 - mean) + 1e-6


@given(st.lists(st.sampled_from([0, 1 / 5, 1 / 4, 1 / 3, 1 / 2, 1 - 1 / 3, 3 / 4, 4 / 5, 1]), max_size=40), means)
def test_scores_on_the_grid_lose_nothing(scores: list[float], mean: float) -> None:
    weighted = [(score, 1.0) for score in scores]
    assert seen(weighted).above(mean) == pytest.approx(exact_evidence(weighted, mean), abs=1e-6)


@given(observations)
def test_its_mean_is_the_weighted_mean(scores: list[tuple[float, float]]) -> None:
    total = math.fsum(weight for _, weight in scores)
    mean = math.fsum(weight * score for score, weight in scores) / total if scores else None
    assert seen(scores).mean() == pytest.approx(mean, abs=1e-6)


@given(observations, st.floats(0.5, 0.999))
def test_the_interval_holds_the_mean_and_stays_in_bounds(scores: list[tuple[float, float]], level: float) -> None:
    sequence = seen(scores)
    low, high = sequence.interval(level)
    mean = sequence.mean()
    assert 0.0 <= low <= high <= 1.0
    assert mean is None or low - 1e-9 <= mean <= high + 1e-9


@given(observations, st.floats(0.6, 0.999))
def test_a_bound_is_where_the_evidence_becomes_a_proof(scores: list[tuple[float, float]], level: float) -> None:
    sequence = seen(scores)
    low, high = sequence.lower(level), sequence.upper(level)
    if low > 0:
        assert sequence.above(low) >= proof(1 - level) - 1e-9
        assert sequence.above(min(1.0, low + 2 * PRECISION)) < proof(1 - level)
    if high < 1:
        assert sequence.below(high) >= proof(1 - level) - 1e-9
        assert sequence.below(max(0.0, high - 2 * PRECISION)) < proof(1 - level)


def test_without_a_score_nothing_is_known() -> None:
    sequence = ConfidenceSequence()
    assert sequence.interval() == (0.0, 1.0)
    assert sequence.mean() is None
    assert sequence.above(0.5) == pytest.approx(0.0)


def test_a_higher_level_is_a_wider_interval_and_more_evidence_a_narrower_one() -> None:
    few, many = plain(45, 5), plain(450, 50)
    widths = [high - low for low, high in (few.interval(0.8), few.interval(0.95), few.interval(0.99))]
    assert widths == sorted(widths)
    assert many.interval()[1] - many.interval()[0] < widths[1] / 2


@pytest.mark.parametrize("n", [50, 100, 500, 2000])
@pytest.mark.parametrize("tenths", [5, 9])
def test_it_is_at_most_three_quarters_wider_than_an_interval_for_one_look(n: int, tenths: int) -> None:
    hits = n * tenths // 10
    low, high = plain(hits, n - hits).interval()
    below, above = wilson(hits / n, n)
    assert above - below < high - low < 1.75 * (above - below)


def test_scores_that_vary_little_have_narrower_bounds_than_wilson_gives_them() -> None:
    rng = random.Random(3)
    scores = [sum(rng.random() < 0.9 for _ in range(5)) / 5 for _ in range(500)]
    low, high = seen([(score, 1.0) for score in scores]).interval()
    below, above = wilson(sum(scores) / 500, 500)
    assert high - low < 0.8 * (above - below)


def test_small_weights_that_stand_for_little_traffic_still_narrow_the_bounds() -> None:
    """A tenth of the sure requests is observed, and every unsure one: those tell more than a tenth of them would."""
    sure, unsure = [(1.0, 1.0)] * 190 + [(0.0, 1.0)] * 10, [(1.0, 0.1)] * 700 + [(0.0, 0.1)] * 300
    low, high = seen(sure + unsure).interval()
    thinned_low, thinned_high = seen(sure + [(1.0, 1.0)] * 70 + [(0.0, 1.0)] * 30).interval()
    assert high - low < 0.85 * (thinned_high - thinned_low)


@given(observations)
def test_its_memory_is_bounded_and_survives_json(scores: list[tuple[float, float]]) -> None:
    sequence = seen(scores)
    text = sequence.model_dump_json()
    assert ConfidenceSequence.model_validate_json(text) == sequence
    assert len(text) < 3000


def test_its_memory_of_plain_scores_is_two_counts() -> None:
    assert len(plain(2_000, 1_000).model_dump_json()) < 60


@pytest.mark.parametrize(("score", "weight"), [(-0.1, 1.0), (1.1, 1.0), (math.nan, 1.0), (0.5, 0.0), (0.5, 1.1)])
def test_what_is_no_score_is_refused(score: float, weight: float) -> None:
    with pytest.raises(ValueError, match="is not in"):
        ConfidenceSequence().add(score, weight)
