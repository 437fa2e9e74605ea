"""What another policy would have cost and served, in worlds whose truth is known."""

import random
from dataclasses import replace

import pytest

from apprentice.whatif import Figures, Log, what_if
from tests.apprentice.whatif.world import INPUT, World, forgetting, live, settings, truth

THRESHOLDS = {"phase2_to_phase3": 0.8, "coaching_trigger": 0.6, "emergency_threshold": 0.5}
RAN = settings()
STRICTER = settings(confidence_thresholds=THRESHOLDS | {"phase2_to_phase3": 0.995})
BOLDER = settings(confidence_thresholds=THRESHOLDS | {"phase2_to_phase3": 0.72})


def holds(figures: Figures | None, value: float) -> bool:
    return figures is not None and figures.low - 1e-9 <= value <= figures.high + 1e-9


@pytest.mark.slow
def test_the_intervals_hold_the_true_cost_and_agreement_of_another_policy() -> None:
    cost = agreement = 0
    for seed in range(100):
        world = World.of(250, seed)
        log = live(RAN, world, random.Random(f"coins {seed}"))
        found = what_if(BOLDER, log, INPUT, seed, paths=5).other
        right = truth(BOLDER, world, random.Random(f"coins {seed}"))  # the same requests, the same coins
        cost += holds(found.cost, right.cost)
        agreement += holds(found.agreement, right.agreement)
    assert cost >= 93
    assert agreement >= 93


def test_the_policy_that_ran_is_found_again() -> None:
    log = live(RAN, World.of(500, 1), random.Random(1))
    found = what_if(RAN, log, INPUT)
    assert found.other.remote_calls.mean == pytest.approx(found.logged.remote_calls.mean, rel=0.1)
    assert found.other.cost.mean == pytest.approx(found.logged.cost.mean, rel=0.1)
    assert found.drawn < 0.2


def test_a_policy_that_never_trusts_the_local_model_asks_for_everything() -> None:
    world = World.of(500, 2)
    found = what_if(STRICTER, live(RAN, world, random.Random(2)), INPUT)
    assert found.logged.local > 0
    assert (found.other.local, found.other.remote_calls.mean) == (0, 500)
    assert found.other.agreement == Figures(1.0, 1.0, 1.0)
    assert found.other.cost == found.all_remote
    assert found.other.cost.mean == pytest.approx(float(sum(fact.cost for fact in world.facts)), rel=0.2)


def test_the_same_seed_gives_the_same_answer_and_another_one_another() -> None:
    log = live(RAN, World.of(300, 3), random.Random(3))
    assert what_if(BOLDER, log, INPUT, seed=1) == what_if(BOLDER, log, INPUT, seed=1)
    assert what_if(BOLDER, log, INPUT, seed=1) != what_if(BOLDER, log, INPUT, seed=2)


def test_a_policy_is_not_judged_on_answers_of_a_kind_that_was_never_compared() -> None:
    log = live(RAN, World.of(500, 4), random.Random(4))
    paused = [replace(one, chance=0.0) if one.local and at > 350 else one for at, one in enumerate(log.requests)]
    share = sum(one.local for one in paused[351:]) / len(paused)
    found = what_if(RAN, replace(log, requests=paused), INPUT)
    assert share > 0.1
    assert found.logged.unsupported == pytest.approx(share)
    assert 0.5 * share < found.other.unsupported <= share


def test_a_log_from_before_chances_were_noted_is_judged_by_what_was_usual() -> None:
    world = World.of(500, 5)
    log = live(RAN, world, random.Random(5))
    older, newer = what_if(RAN, forgetting(log), INPUT).logged, what_if(RAN, log, INPUT).logged
    assert older.unsupported < 0.01
    assert newer.unsupported == 0.0
    assert older.local_agreement == newer.local_agreement


def test_answers_surer_than_any_that_was_compared_are_beyond_a_log_without_chances() -> None:
    log = forgetting(live(RAN, World.of(500, 6), random.Random(6)))
    surer = [replace(one, confidence=0.99) if one.local else one for one in log.requests]
    found = what_if(RAN, replace(log, requests=surer), INPUT).logged
    assert found.local_agreement is None
    assert found.unsupported == pytest.approx(found.local_share)


def test_a_cap_on_money_counts_in_the_other_policy_too() -> None:
    log = live(RAN, World.of(300, 7), random.Random(7))
    capped = settings(budget={"daily": "120"})  # a call is set aside at 1
    found = what_if(capped, log, INPUT).other
    assert found.remote_calls.high <= 300
    assert found.cost.mean <= what_if(RAN, log, INPUT).other.cost.mean


def test_a_log_without_requests_is_an_error() -> None:
    with pytest.raises(ValueError, match="without requests"):
        what_if(RAN, Log([]), INPUT)
