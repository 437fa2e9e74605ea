"""The plan buys early while there is much to learn, then what is doubtful, and spends all of it, not before the end."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apprentice.allowance.planning import Plan

EVEN = [(n + 0.5) / 100 for n in range(100)]  # doubts of all sizes


def test_what_fits_is_bought() -> None:
    assert Plan(EVEN, examples=100, calls=500, requests=500).share() == 1.0
    assert Plan(EVEN, examples=100, calls=900, requests=500).share() == 1.0
    assert Plan(EVEN, examples=100, calls=0, requests=500).share() == 0.0


def test_a_student_that_has_much_to_learn_is_taught_first() -> None:
    taught = Plan(EVEN, examples=50, calls=1000, requests=10_000).share()
    assert taught > 3 * 0.1


def test_where_there_is_nothing_to_learn_the_rate_is_steady() -> None:
    assert Plan(EVEN, examples=10**9, calls=1000, requests=10_000).share() == pytest.approx(0.1, abs=0.02)
    assert Plan(EVEN, examples=50, calls=1000, requests=10_000, kept=0.0).share() == pytest.approx(0.1, abs=0.02)


def test_teaching_counts_for_less_the_nearer_the_end() -> None:
    shares = [Plan(EVEN, examples=500, calls=0.2 * left, requests=left).share() for left in (20_000, 2_000, 200, 20)]
    assert shares == sorted(shares, reverse=True)
    assert shares[-1] == pytest.approx(0.2, abs=0.05)


def test_doubts_that_are_all_the_same_do_not_put_off_buying() -> None:
    assert Plan([0.8] * 50, examples=10**9, calls=100, requests=1000).share() == pytest.approx(0.1, abs=0.01)
    assert Plan([0.0] * 50, examples=100, calls=100, requests=1000).share() == pytest.approx(0.1, abs=0.01)


@given(
    doubts=st.lists(st.floats(0, 1), min_size=1, max_size=60),
    examples=st.integers(0, 10_000),
    calls=st.integers(0, 10_000),
    requests=st.integers(1, 20_000),
    kept=st.floats(0.5, 1),
)
@settings(max_examples=200, deadline=None)
def test_a_share_is_a_share(doubts: list[float], examples: int, calls: int, requests: int, kept: float) -> None:
    assert 0.0 <= Plan(doubts, examples, calls, requests, kept).share() <= 1.0


@pytest.mark.parametrize("weak", [0.05, 0.5, 1.0])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.9])
def test_planned_anew_all_along_it_spends_all_and_not_before_the_end(weak: float, share: float) -> None:
    rng, total, step = random.Random(1), 5000, 50
    calls = whole = share * total
    spent_at = 0
    for passed in range(0, total, step):
        doubts = [weak * rng.random() for _ in range(100)]
        bought = step * Plan(doubts, 50 + whole - calls, calls, total - passed).share()
        calls -= min(bought, calls)
        spent_at = passed if calls > 0.01 * whole else spent_at
    assert calls <= 0.02 * whole + 1
    assert spent_at >= (0.4 if share > 0.1 else 0.05) * total
