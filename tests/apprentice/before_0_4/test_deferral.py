"""Deferral: the least confidence at which what is served locally still agrees at the target."""

import random

from hypothesis import given
from hypothesis import strategies as st

from apprentice.before_0_4.deferral import CONFIDENCE, threshold
from apprentice.confidence.interval import wilson
from apprentice.confidence.window import mean
from apprentice.messages import Comparison
from apprentice.release import Release
from apprentice.settings import ConfidenceThresholds, SamplingSettings
from tests.apprentice.brain import NEVER, World, autonomous, comparisons, task_settings

compared = st.lists(
    st.builds(
        Comparison,
        score=st.sampled_from([0.0, 0.5, 1.0]),
        propensity=st.sampled_from([0.02, 0.1, 0.5, 1.0]),
        confidence=st.none() | st.sampled_from([0.0, 0.2, 0.5, 0.8, 0.9, 0.99]),
        version=st.just(1),
    ),
    max_size=120,
)
targets = st.floats(0.05, 0.99)


def confidences(scored: list[Comparison]) -> set[float]:
    return {c.confidence or 0.0 for c in scored}


@given(compared, targets)
def test_it_is_the_lowest_confidence_above_which_the_lower_bound_holds(scored: list[Comparison], target: float) -> None:
    holds = {}
    for confidence in confidences(scored):
        surer = [c for c in scored if (c.confidence or 0.0) >= confidence]
        holds[confidence] = wilson(mean(surer), len(surer), CONFIDENCE)[0] - target
    got = threshold(scored, target)
    clearly = [confidence for confidence, margin in holds.items() if margin > 1e-9]
    perhaps = [confidence for confidence, margin in holds.items() if margin > -1e-9]
    least = min(holds, default=None)
    allowed = {0.0 if c == least else c for c in [min(clearly, default=1.0), min(perhaps, default=1.0)]}
    assert got in allowed


@given(compared, targets, targets)
def test_a_higher_target_never_serves_more(scored: list[Comparison], a: float, b: float) -> None:
    assert threshold(scored, min(a, b)) <= threshold(scored, max(a, b))


@given(compared, targets, st.randoms(use_true_random=False))
def test_the_order_of_comparisons_does_not_matter(scored: list[Comparison], target: float, rng: random.Random) -> None:
    assert threshold(scored, target) == threshold(rng.sample(scored, len(scored)), target)


def test_without_evidence_nothing_is_served() -> None:
    assert threshold([], 0.85) == 1.0
    assert threshold(comparisons(1.0, 1.0, confidence=0.99), 0.85) == 1.0


def test_everything_is_served_when_all_of_it_is_good_enough() -> None:
    assert threshold(comparisons(*[1.0] * 100, confidence=0.4), 0.85) == 0.0


def test_ties_are_taken_or_left_together() -> None:
    tied = comparisons(*[1.0] * 50, *[0.0] * 50, confidence=0.8)
    assert threshold([*comparisons(*[1.0] * 50, confidence=0.9), *tied], 0.85) == 0.9


def test_answers_without_a_confidence_count_as_unsure() -> None:
    wrong_and_silent = comparisons(*[0.0] * 30)
    assert threshold([*comparisons(*[1.0] * 100, confidence=0.6), *wrong_and_silent], 0.85) == 0.6
    assert threshold(comparisons(*[1.0] * 100), 0.85) == 0.0


def test_what_is_served_agrees_at_the_target_while_unsure_answers_are_wrong_half_the_time() -> None:
    settings = task_settings(local=NEVER, sampling=SamplingSettings(window_size=200))
    held_out = comparisons(*[1.0] * 180, confidence=0.97) + comparisons(*[0.0] * 20, confidence=0.3)
    shares, served = [], []
    for seed in range(5):
        rng = random.Random(seed)
        world = World(
            autonomous(held_out, settings, release=Release.V0_3),
            confidence=lambda rng: 0.97 if rng.random() < 0.8 else 0.2 + 0.6 * rng.random(),
            agrees=lambda confidence: confidence or 0.0,
            rng=rng,
        )
        world.send(3000)
        shares.append(sum(not route.remote for route in world.routes) / 3000)
        served.append(world.served_agreement())
    target = ConfidenceThresholds().phase2_to_phase3
    assert min(served) >= target, served
    assert min(shares) > 0.3, shares
