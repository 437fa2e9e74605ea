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
    assert Wealth().needed(1.0, 0.85, 0.15, 0.85) is None
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


def test_how_many_more_it_takes_is_about_right() -> None:
    rng, needed = random.Random(5), proof(0.05)
    took, foretold = [], []
    for _ in range(100):
        wealth = Wealth()
        while wealth.log() < needed:
            if wealth.n == 40:
                foretold.append(40 + (wealth.needed(needed, 0.93, 0.15, 0.85) or 0))
            wealth.bet((rng.random() < 0.93) - 0.85, 0.85)
        took.append(wealth.n)
    late = [n for n in took if n >= 40]
    assert sum(foretold) / len(foretold) == pytest.approx(sum(late) / len(late), rel=0.3)


def test_what_will_never_be_proven_has_no_end() -> None:
    wealth = bet_on([0.15, -0.85] * 20, 0.85)
    assert wealth.needed(3.0, 0.85, 0.15, 0.85) is None
    assert wealth.needed(3.0, 0.97, 0.15, 0.85) is not None


def test_what_is_proven_needs_nothing_more() -> None:
    assert bet_on([0.15] * 50, 0.85).needed(proof(0.05), 0.5, 0.15, 0.85) == 0


def test_its_forecast_holds_to_the_gain_where_all_are_won() -> None:
    more = bet_on([0.15] * 10, 0.85).needed(proof(0.05), 1.0, 0.15, 0.85)
    assert more is not None
    assert bet_on([0.15] * (10 + more), 0.85).log() >= proof(0.05)
    assert bet_on([0.15] * (10 + more // 2), 0.85).log() < proof(0.05)


def test_what_was_lost_before_half_was_held_back_is_half_at_most() -> None:
    ruined, won = bet_on([-0.85] * 100, 0.85), bet_on([0.15] * 100, 0.85)
    before = won.log()
    for wealth in (ruined, won):
        wealth.hold_back()
    assert ruined.log() == pytest.approx(-math.log(2), abs=0.01)
    assert won.log() == pytest.approx(before - math.log(2), abs=1e-3)


@given(st.floats(0.05, 0.95), st.integers(0, 60), st.randoms(use_true_random=False))
def test_holding_back_makes_nothing_out_of_nothing(target: float, bets: int, rng: random.Random) -> None:
    """The mean of what a gambler with fair bets has stays below what he began with."""
    wealth = bet_on([float(rng.random() < target) - target for _ in range(bets)], target)
    expected = (1.0 + math.exp(wealth.log())) / 2.0
    wealth.hold_back()
    assert math.exp(wealth.log()) <= expected + 1e-9


def test_a_gain_beyond_the_worst_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="beyond the worst"):
        Wealth().bet(-0.9, 0.85)
