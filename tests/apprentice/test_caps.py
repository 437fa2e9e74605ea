"""Sharing the caps at the top level among tasks."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apprentice.caps import CapsExceedTotal, share_cap

money = st.decimals(0, 10_000, places=4)


@given(money, st.lists(st.none() | money, min_size=1, max_size=12))
def test_shares_never_add_up_to_more_than_the_total(total: Decimal, own: list[Decimal | None]) -> None:
    try:
        shares = share_cap(total, own)
    except CapsExceedTotal:
        assert sum(cap for cap in own if cap is not None) > total
        return
    assert sum(share for share in shares if share is not None) <= total
    assert all(share is not None and share >= 0 for share in shares)
    assert all(share == cap for share, cap in zip(shares, own, strict=True) if cap is not None)
    assert len({share for share, cap in zip(shares, own, strict=True) if cap is None}) <= 1


@given(money, st.integers(1, 50))
def test_less_than_a_millionth_a_task_is_left_over(total: Decimal, tasks: int) -> None:
    shares = share_cap(total, [None] * tasks)
    assert total - sum(share for share in shares if share is not None) < Decimal("0.000001") * tasks


def test_without_a_total_every_task_keeps_what_it_set() -> None:
    assert share_cap(None, [None, Decimal(3)]) == [None, Decimal(3)]


def test_the_rest_is_divided_among_tasks_without_a_cap_and_rounded_down() -> None:
    assert share_cap(Decimal(10), [Decimal(0), None, None, None]) == [Decimal(0), *[Decimal("3.333333")] * 3]


def test_own_caps_that_do_not_fit_are_refused() -> None:
    with pytest.raises(CapsExceedTotal, match="add up to 11, more than the 10"):
        share_cap(Decimal(10), [Decimal(6), Decimal(5), None])
