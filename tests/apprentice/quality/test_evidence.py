"""What comparisons prove of a version: each counts once, with the weight that makes them a picture of the traffic."""

import random

import pytest

from apprentice.messages import Comparison, Phase, RequestOutcome, RouteReason
from apprentice.quality.evidence import Evidence
from apprentice.quality.ladder import Rung
from apprentice.settings import QualitySettings, TaskSettings
from tests.apprentice.brain import (
    NEVER,
    T0,
    autonomous,
    comparisons,
    local_answer,
    remote_answer,
    request,
    task_settings,
)

SETTINGS = task_settings(local=NEVER)
SERVED = task_settings(local=NEVER, quality=QualitySettings(scope="served"))


def rungs(evidence: Evidence, confidence: float = 0.95) -> dict[float, Rung]:
    return {rung.confidence: rung for rung in evidence.rungs(confidence)}


def light(weight: float, *scores: float, confidence: float) -> list[Comparison]:
    return [one.model_copy(update={"weight": weight}) for one in comparisons(*scores, confidence=confidence)]


def test_a_window_of_fair_draws_counts_each_in_full_whatever_it_weighed_beside_the_deferred_ones() -> None:
    """Half of the traffic is unsure and wrong: without the deferred ones a weight of 1/50 would hide it."""
    window = comparisons(*[1.0] * 60, confidence=0.95) + light(0.02, *[0.0] * 60, confidence=0.3)
    found = rungs(Evidence.of(window, SETTINGS))
    assert found[0.94].proven
    assert not found[0.0].proven
    assert found[0.0].agreement == pytest.approx(0.5)


def test_inputs_that_came_again_may_all_be_wrong_as_far_as_the_hold_out_tells() -> None:
    """They count once there: one input that is wrong for ever is 4% of the traffic, and 1 of 600 in the hold-out."""
    hold_out = comparisons(*([1.0] * 49 + [0.0]) * 12, confidence=0.95)
    target = task_settings(local=NEVER, quality=QualitySettings(target=0.95))
    assert rungs(Evidence.of(hold_out, target))[0.0].proven
    assert not rungs(Evidence.of(hold_out, target, repeated=0.04))[0.0].proven
    assert rungs(Evidence.of(hold_out, SETTINGS, repeated=0.04))[0.0].proven, "0.98 of 96% is more than 0.85"


def test_inputs_that_came_again_may_all_be_among_the_surest() -> None:
    """What one in five requests is sure of agrees at 0.96, but a fifth of those may be inputs that count once."""
    hold_out = comparisons(*([1.0] * 24 + [0.0]) * 4, confidence=0.95) + comparisons(*[0.0] * 400, confidence=0.3)
    assert rungs(Evidence.of(hold_out, SETTINGS))[0.94].proven
    assert not rungs(Evidence.of(hold_out, SETTINGS, repeated=0.04))[0.94].proven


def test_a_model_that_never_says_how_sure_it_is_needs_no_more_comparisons_for_it() -> None:
    """There is one rung that it can reach, so nothing is kept back for the others."""
    silent, sure = (
        Evidence.of(comparisons(*[1.0] * 60, confidence=confidence), SETTINGS) for confidence in (None, 1.0)
    )
    assert rungs(silent)[0.0].proven
    assert rungs(silent)[0.0].excess == pytest.approx(rungs(sure)[0.0].excess)


def test_everything_served_may_agree_where_what_is_served_locally_does_not() -> None:
    """Half is answered locally and agrees at 0.75: everything served agrees at 0.875, and 0.85 was promised."""
    rng, evidence = random.Random(4), Evidence.of([], SERVED)
    for _ in range(5000):
        sure = rng.random() < 0.5
        (one,) = comparisons(float(rng.random() < 0.75), confidence=0.95 if sure else 0.2)
        evidence.learn(one, fair=True, serves=sure)
    assert not evidence.broken


@pytest.mark.parametrize("settings", [SETTINGS, SERVED])
def test_a_broken_promise_is_proven(settings: TaskSettings) -> None:
    rng, evidence = random.Random(4), Evidence.of([], settings)
    for _ in range(1000):
        sure = rng.random() < 0.8
        (one,) = comparisons(float(rng.random() < 0.7), confidence=0.95 if sure else 0.2)
        evidence.learn(one, fair=True, serves=sure)
    assert evidence.broken


def test_comparisons_that_come_in_one_batch_with_a_fall_are_each_counted_once() -> None:
    brain = autonomous(comparisons(*[1.0] * 100, confidence=0.95))
    brain.judge.learn(comparisons(*[0.0] * 60, confidence=0.95))
    evidence = brain.state.evidence
    assert evidence is not None
    assert brain.state.coaching, "the fall was found"
    assert evidence.agreement.n == len(brain.state.window)


def test_an_answer_that_cannot_be_used_counts_in_full_where_only_the_coin_finds_it() -> None:
    """Below the threshold a request is compared for sure; one that fails is only if the coin chose it."""
    brain = autonomous(comparisons(*[1.0] * 100, confidence=0.95))
    brain.state.rate, brain.state.defer_below = 0.1, 0.9
    route = brain.admit(request(1), 0.01, T0)
    assert route.reason is RouteReason.SPOT_CHECK
    outcome = RequestOutcome(request_id="r1", route=route, remote=remote_answer(), local_error="BadAnswer")
    brain.observe(outcome, T0)
    assert (brain.state.window[-1].score, brain.state.window[-1].weight) == (0.0, 1.0)


def test_an_unsure_answer_that_a_coin_chose_for_a_batch_is_a_fair_draw() -> None:
    batched = SETTINGS.remote.model_copy(update={"batch": True})
    settings = SETTINGS.model_copy(update={"remote": batched})
    brain = autonomous(comparisons(*[1.0] * 100, confidence=0.95), settings)
    for number, coin in enumerate([0.1, 0.9]):
        brain.state.rate, brain.state.defer_below, brain.state.coaching = 0.5, 0.9, False
        route = brain.admit(request(number), coin, T0)
        route = brain.defer(request(number), route, RouteReason.DEFERRED, T0)
        outcome = RequestOutcome(
            request_id=f"r{number}", route=route, remote=remote_answer(), local=local_answer(1, 0.3), score=0.0
        )
        brain.observe(outcome, T0)
    evidence = brain.state.evidence
    assert evidence is not None
    assert [one.score for one in brain.state.window[-2:]] == [1.0, 0.0]
    assert evidence.agreement.n == 101
    assert sum(evidence.ladder.weights) == pytest.approx(101)  # each of the two weighs a half


def test_the_threshold_follows_the_proof_at_once_even_where_certainty_stays_the_same() -> None:
    brain = autonomous(comparisons(*[1.0] * 300, confidence=0.95))
    assert (brain.state.phase, brain.state.defer_below) == (Phase.AUTONOMOUS, 0.94)
    brain.state.defer_below = 0.97  # as if only the surest had been proven, as certainly
    brain.judge.judge(T0)
    assert brain.state.defer_below == 0.94


def test_a_target_of_nothing_is_refused_and_one_of_everything_is_never_proven() -> None:
    """There is nothing to prove, and nothing to bet."""
    with pytest.raises(ValueError, match="greater than 0"):
        QualitySettings(target=0.0)
    perfect = task_settings(quality=QualitySettings(target=1.0))
    found = rungs(Evidence.of(comparisons(*[1.0] * 200, confidence=0.9), perfect))
    assert not any(rung.proven for rung in found.values())


def test_a_rehearsal_that_went_badly_delays_a_proof_by_few_comparisons_and_is_no_picture_of_the_agreement() -> None:
    def until_proven(rehearsal: list[tuple[float, float]]) -> int:
        evidence = Evidence.of([], SETTINGS, rehearsal, [0.95] * 20)
        for count in range(1, 500):
            evidence.learn(Comparison(score=1.0, confidence=0.95, version=1), fair=True)
            if rungs(evidence)[0.94].proven:
                assert rungs(evidence)[0.94].agreement == 1.0
                return count
        raise AssertionError

    alone = until_proven([])
    assert until_proven([(0.0, 0.95)] * 300) <= alone + 8
    assert until_proven([(1.0, 0.95)] * 300) == 1


def test_how_many_more_comparisons_a_rung_needs_is_about_right_though_most_requests_are_too_unsure_for_it() -> None:
    sure, unsure = comparisons(*[1.0] * 8, confidence=0.96), comparisons(*[0.0] * 16, confidence=0.4)
    evidence = Evidence.of([*sure, *unsure], SETTINGS)
    [(foretold, rung)] = [wait for wait in evidence.waits(evidence.rungs(0.95), 0.95) if wait[1].confidence == 0.955]
    assert rung.share == pytest.approx(1 / 3)
    took = 0
    while not rungs(evidence)[0.955].proven:
        took += 1
        [one] = comparisons(float(took % 3 == 0), confidence=0.96 if took % 3 == 0 else 0.4)
        evidence.learn(one, fair=True)
    assert foretold == pytest.approx(took, rel=0.1)
