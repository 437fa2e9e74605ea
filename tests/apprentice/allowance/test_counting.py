"""An allowance of calls is never passed, and begins anew with its period."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from apprentice.allowance.counting import CallBudget
from apprentice.allowance.state import AllowanceState
from apprentice.budget import Ledger
from apprentice.settings import AllowanceSettings, BudgetSettings

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)  # a Monday
DAY = timedelta(days=1)
FREE = Decimal(0)


def budget(calls: int, period: str = "daily", zone: str = "UTC", state: AllowanceState | None = None) -> CallBudget:
    allowance = AllowanceSettings.model_validate({"remote_calls": calls, "period": period})
    return CallBudget(BudgetSettings(timezone=zone), Ledger(), allowance, state or AllowanceState())


def test_a_call_counts_from_its_reservation_on_though_it_costs_nothing() -> None:
    calls = budget(2)
    assert [calls.reserve(key, FREE, NOON) for key in "abc"] == [True, True, False]
    calls.settle("a", FREE, NOON)
    assert not calls.reserve("d", FREE, NOON)
    assert calls.left(NOON) == 0


def test_a_call_that_was_not_made_is_given_back_once() -> None:
    calls = budget(1)
    assert calls.reserve("a", FREE, NOON)
    calls.release("a")
    calls.release("a")
    assert calls.left(NOON) == 1


def test_the_next_period_begins_anew_and_owes_nothing_to_the_last() -> None:
    calls = budget(2)
    assert calls.reserve("a", FREE, NOON)
    assert calls.reserve("b", FREE, NOON)
    assert calls.next_room(FREE, NOON) == datetime(2026, 3, 3, tzinfo=UTC)
    assert calls.left(NOON + DAY) == 2
    assert calls.reserve("c", FREE, NOON + DAY)
    calls.release("a")  # of yesterday
    assert calls.left(NOON + DAY) == 1


def test_a_week_is_not_over_after_a_day() -> None:
    calls = budget(1, "weekly")
    assert calls.reserve("a", FREE, NOON)
    assert calls.left(NOON + 6 * DAY) == 0
    assert calls.left(NOON + 7 * DAY) == 1


def test_for_a_recording_there_is_one_period() -> None:
    calls = budget(1, state=AllowanceState(horizon=1000))
    assert calls.reserve("a", FREE, NOON)
    assert calls.left(NOON + 400 * DAY) == 0
    assert calls.next_room(FREE, NOON) is None


def test_a_cap_on_money_holds_as_well() -> None:
    calls = budget(5)
    calls.settings = BudgetSettings(daily=Decimal(1))
    assert calls.reserve("a", Decimal("0.9"), NOON)
    assert not calls.reserve("b", Decimal("0.9"), NOON)
    assert calls.left(NOON) == 4
