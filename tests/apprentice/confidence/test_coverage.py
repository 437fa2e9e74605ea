"""Bounds that hold while one looks: the share of 2,000 runs in which one was ever wrong is at most its level.

All runs are computed at once with numpy; the first tests hold that form to what production computes, look by look.
"""

import numpy as np
import pytest

from apprentice.confidence.sequence import ConfidenceSequence
from apprentice.confidence.wealth import Wealth, proof
from benchmarks.coverage import STREAMS, Array, adaptive, bernoulli, ever_wrong, evidence, wealth, wilson_ever_wrong

RUNS, LOOKS = 2000, 1000

type Seen = tuple[Array, Array, float]


@pytest.fixture(scope="module")
def adaptively() -> Seen:
    """Scores, weights (0: not observed) and the mean of traffic that is sampled as its scores suggest."""
    return adaptive(np.random.default_rng(11), RUNS, LOOKS)


@pytest.mark.parametrize("name", [name for name in STREAMS if "between" not in name])
def test_the_evidence_of_all_runs_is_that_of_production(name: str) -> None:
    draw, mean = STREAMS[name]
    scores = draw(np.random.default_rng(3), (2, 300))
    above, below = evidence(scores, mean), evidence(1 - scores, 1 - mean)
    for run in range(2):
        sequence = ConfidenceSequence()
        for look, score in enumerate(scores[run]):
            sequence.add(float(score))
            assert sequence.above(mean) == pytest.approx(above[run, look], abs=1e-6)
            assert sequence.below(mean) == pytest.approx(below[run, look], abs=1e-6)


def test_the_weighted_evidence_of_all_runs_is_that_of_production() -> None:
    scores, weights, mean = adaptive(np.random.default_rng(3), 2, 600)
    above = evidence(scores, mean, weights)
    for run in range(2):
        sequence = ConfidenceSequence()
        for look, (score, weight) in enumerate(zip(scores[run], weights[run], strict=True)):
            if weight:
                sequence.add(float(score), float(weight))
            assert sequence.above(mean) == pytest.approx(above[run, look], abs=1e-6)


def test_a_bound_leaves_out_the_truth_exactly_when_the_evidence_against_it_is_a_proof() -> None:
    scores = bernoulli(0.85)(np.random.default_rng(3), (60, 80))
    required, wrong = proof(0.2), 0
    above, below = evidence(scores, 0.85), evidence(1 - scores, 0.15)
    for run in range(60):
        sequence = ConfidenceSequence()
        for look, score in enumerate(scores[run]):
            sequence.add(float(score))
            if look % 10 == 9:
                low, high = sequence.interval(0.6)
                assert (low > 0.85) == (above[run, look] >= required)
                assert (high < 0.85) == (below[run, look] >= required)
                wrong += not low <= 0.85 <= high
    assert wrong > 5


def test_the_wealth_of_all_runs_is_that_of_production() -> None:
    gains = bernoulli(0.9)(np.random.default_rng(3), (2, 300)) - 0.85
    logs = wealth(gains, 0.85)
    for run in range(2):
        held = Wealth()
        for look, gain in enumerate(gains[run]):
            held.bet(float(gain), 0.85)
            assert held.log() == pytest.approx(logs[run, look], abs=1e-9)


@pytest.mark.parametrize("name", STREAMS)
def test_a_confidence_sequence_is_hardly_ever_wrong_however_often_one_looks(name: str) -> None:
    draw, mean = STREAMS[name]
    low, high, either = ever_wrong(draw(np.random.default_rng(11), (RUNS, LOOKS)), mean)
    assert max(low, high) <= 0.025
    # It is no bound that never says anything: it comes to use a good part of what it may.
    assert 0.01 <= either <= 0.05


def test_nor_under_sampling_that_follows_the_scores_with_weights(adaptively: Seen) -> None:
    scores, weights, mean = adaptively
    low, high, either = ever_wrong(scores, mean, weights)
    assert max(low, high) <= 0.025
    assert 0.01 <= either <= 0.05


def test_without_the_weights_adaptive_sampling_would_deceive_it(adaptively: Seen) -> None:
    scores, weights, mean = adaptively
    assert ever_wrong(scores, mean, (weights > 0).astype(float))[1] > 0.6


@pytest.mark.parametrize("mean", [0.5, 0.85, 0.95, 0.99])
def test_an_interval_for_one_look_is_wrong_a_quarter_of_the_time_if_one_keeps_looking(mean: float) -> None:
    scores = bernoulli(mean)(np.random.default_rng(11), (RUNS, LOOKS))
    assert wilson_ever_wrong(scores, mean) > 0.25


@pytest.mark.parametrize("target", [0.5, 0.85, 0.95])
def test_what_is_false_is_proven_no_more_often_than_the_level_says(target: float) -> None:
    scores = bernoulli(target)(np.random.default_rng(11), (RUNS, LOOKS))
    proven = (wealth(scores - target, target) >= proof(0.05)).any(axis=-1).mean()
    assert 0.015 <= proven <= 0.05


def test_nor_where_the_stake_of_each_bet_follows_what_was_seen(adaptively: Seen) -> None:
    scores, weights, mean = adaptively
    assert (wealth(weights * (scores - mean), mean) >= proof(0.05)).any(axis=-1).mean() <= 0.05
