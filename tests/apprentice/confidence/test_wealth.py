"""The wealth of a gambler: it proves what is true, and what is false no more often than it says."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apprentice.confidence.wealth import FRACTIONS, LOG_SHARES, UNIT, Wealth, proof

scores = st.floats(0, 1)


def bet_on(gains: list[float], worst: float) -> Wealth:
    wealth = Wealth()
    for gain in gains:
        wealth.bet(gain, worst)
    return wealth


def test_nobody_has_won_before_the_first_bet() -> None:
    assert Wealth().log() == pytest.approx(0.0)
    assert Wealth().needed(1.0) is None
    assert math.fsum(math.exp(log) for log in LOG_SHARES) == pytest.approx(1.0)


@given(st.lists(scores, min_size=1, max_size=60), st.floats(0.05, 0.95))
def test_it_is_the_mixture_of_what_each_fraction_won_and_never_a_cent_more(seen: list[float], target: float) -> None:
    wealth = bet_on([score - target for score in seen], target)
    exact = math.fsum(
        math.exp(log) * math.prod(1 + f * (score - target) / target for score in seen)
        for log, f in zip(LOG_SHARES, FRACTIONS, strict=True)
    )
    assert math.log(exact) - len(seen) * UNIT - 1e-9 <= wealth.log() <= math.log(exact) + 1e-9


@given(st.lists(st.tuples(scores, st.floats(0.01, 1)), max_size=60))
def test_its_memory_is_small_and_survives_json(seen: list[tuple[float, float]]) -> None:
    wealth = bet_on([weight * (score - 0.9) for score, weight in seen], 0.9)
    text = wealth.model_dump_json()
    assert Wealth.model_validate_json(text) == wealth
    assert len(text) < 150


@pytest.mark.parametrize(("target", "truth", "within"), [(0.85, 1.0, 30), (0.85, 0.95, 150), (0.85, 0.92, 350)])
def test_what_is_true_is_proven_soon(target: float, truth: float, within: int) -> None:
    rng, proven = random.Random(1), 0
    for _ in range(100):
        wealth, needed = Wealth(), proof(0.05)
        for _ in range(within):
            wealth.bet((rng.random() < truth) - target, target)
            if wealth.log() >= needed:
                proven += 1
                break
    assert proven >= 85


def test_what_will_never_be_proven_has_no_end() -> None:
    wealth = bet_on([0.15, -0.85] * 20, 0.85)
    assert wealth.needed(3.0) is None


def test_what_is_proven_needs_nothing_more() -> None:
    wealth = bet_on([0.15] * 50, 0.85)
    assert wealth.needed(proof(0.05)) == 0


def test_its_own_forecast_holds_while_gains_stay_as_they_were() -> None:
    wealth = bet_on([0.15] * 10, 0.85)
    more = wealth.needed(proof(0.05))
    assert more is not None
    proven = bet_on([0.15] * (10 + more), 0.85).log() >= proof(0.05)
    assert proven
    assert bet_on([0.15] * (10 + more // 2), 0.85).log() < proof(0.05)


def test_a_gain_beyond_the_worst_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="beyond the worst"):
        Wealth().bet(-0.9, 0.85)
