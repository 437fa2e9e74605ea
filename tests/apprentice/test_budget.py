"""Promise 3: settled + reserved <= cap, in every period, whatever happens in between."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from apprentice.budget import Budget, Ledger
from apprentice.calendar import PERIODS
from apprentice.messages import Period
from apprentice.settings import BudgetSettings
from tests.apprentice.brain import T0

ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Pacific/Apia", "Asia/Kathmandu", "America/Havana"]
MONEY = st.decimals(min_value=0, max_value=2, places=4)
CAPS = st.none() | st.decimals(min_value=0, max_value=20, places=2)


class SpendingUnderCaps(RuleBasedStateMachine):
    """Keeps its own books, by the period in which a call was admitted, and compares them with the caps."""

    held = Bundle("held")

    @initialize(daily=CAPS, weekly=CAPS, monthly=CAPS, zone=st.sampled_from(ZONES), start=st.integers(0, 730))
    def begin(
        self, daily: Decimal | None, weekly: Decimal | None, monthly: Decimal | None, zone: str, start: int
    ) -> None:
        self.caps: dict[Period, Decimal | None] = {"daily": daily, "weekly": weekly, "monthly": monthly}
        budget = BudgetSettings(daily=daily, weekly=weekly, monthly=monthly, timezone=zone)
        self.ledger = Ledger()
        self.budget = Budget(budget, self.ledger)
        self.zone = ZoneInfo(zone)
        self.now = datetime(2026, 1, 1, 22, tzinfo=UTC) + timedelta(days=start)
        self.count = 0
        self.spent: dict[tuple[str, ...], Decimal] = {}
        self.amounts: dict[str, tuple[Decimal, list[tuple[str, ...]]]] = {}

    def periods(self) -> list[tuple[str, ...]]:
        day = self.now.astimezone(self.zone).date()
        year, week, _ = day.isocalendar()
        return [("daily", str(day)), ("weekly", f"{year}-{week}"), ("monthly", f"{day.year}-{day.month}")]

    @rule(target=held, amount=MONEY, burst=st.integers(1, 120))
    def admit(self, amount: Decimal, burst: int) -> list[str]:
        keys = []
        for _ in range(burst):
            self.count += 1
            key = f"r{self.count}"
            if self.budget.reserve(key, amount, self.now):
                self.amounts[key] = (amount, self.periods())
                keys.append(key)
        return keys

    @rule(keys=consumes(held), share=st.decimals(0, 1, places=2))
    def settle(self, keys: list[str], share: Decimal) -> None:
        for key in keys:
            amount, periods = self.amounts.pop(key)
            self.budget.settle(key, amount * share, self.now)
            for period in periods:
                self.spent[period] = self.spent.get(period, Decimal(0)) + amount * share

    @rule(keys=consumes(held))
    def release(self, keys: list[str]) -> None:
        for key in keys:
            self.amounts.pop(key)
            self.budget.release(key)

    @rule(hours=st.integers(1, 60))
    def wait(self, hours: int) -> None:
        self.now += timedelta(hours=hours)

    @rule()
    def restart(self) -> None:
        self.ledger = Ledger.model_validate_json(self.ledger.model_dump_json())
        self.budget = Budget(self.budget.settings, self.ledger)

    @invariant()
    def no_period_is_overspent(self) -> None:
        books = dict(self.spent)
        for amount, periods in self.amounts.values():
            for period in periods:
                books[period] = books.get(period, Decimal(0)) + amount
        for (name, *_), total in books.items():
            cap = self.caps[name]  # type: ignore[index]
            assert cap is None or total <= cap

    @invariant()
    def the_ledger_says_what_was_spent_and_holds_no_more_than_is_in_flight(self) -> None:
        assert set(self.ledger.reservations) == set(self.amounts)
        for name, period in zip(PERIODS, self.periods(), strict=True):
            assert self.budget.settled(name, self.now) == self.spent.get(period, 0)
            assert len(self.ledger.settled.get(name, {})) <= 1


TestSpendingUnderCaps = SpendingUnderCaps.TestCase
TestSpendingUnderCaps.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)


def budget(daily: str | None = None, zone: str = "UTC", **caps: Decimal) -> Budget:
    return Budget(BudgetSettings(daily=Decimal(daily) if daily else None, timezone=zone, **caps), Ledger())


def test_the_last_cent_of_a_cap_can_be_spent_and_no_more() -> None:
    spending = budget("0.30")
    assert [spending.reserve(key, Decimal("0.10"), T0) for key in "abcd"] == [True, True, True, False]
    assert "d" not in spending.ledger.reservations


def test_a_cheap_call_makes_room_at_once() -> None:
    spending = budget("0.10")
    assert spending.reserve("a", Decimal("0.10"), T0)
    spending.settle("a", Decimal("0.01"), T0)
    assert spending.reserve("b", Decimal("0.09"), T0)


def test_a_settlement_after_midnight_counts_for_the_day_of_its_reservation() -> None:
    spending, night = budget("1"), datetime(2026, 3, 2, 23, 59, tzinfo=UTC)
    assert spending.reserve("a", Decimal(1), night)
    morning = night + timedelta(minutes=2)
    assert spending.reserve("b", Decimal(1), morning)
    spending.settle("a", Decimal(1), morning)
    assert spending.settled("daily", morning) == 0
    assert spending.reserved("daily", morning) == 1


def test_a_repeated_key_is_refused_rather_than_reserved_twice() -> None:
    spending = budget("1")
    spending.reserve("a", Decimal(0), T0)
    with pytest.raises(ValueError, match="already has a reservation"):
        spending.reserve("a", Decimal(0), T0)


def test_each_cap_binds_by_itself() -> None:
    spending = budget("1", weekly=Decimal("1.5"), monthly=Decimal(2))
    # Thursday to the Monday after, in February: the week, then the month has no more room.
    at = datetime(2026, 2, 19, 12, tzinfo=UTC)
    granted = []
    for day in (0, 1, 4, 11):
        when = at + timedelta(days=day)
        key = str(day)
        granted.append(spending.reserve(key, Decimal(1), when))
        spending.settle(key, Decimal(1), when) if granted[-1] else None
    assert granted == [True, False, True, True]


@pytest.mark.parametrize(
    ("zone", "now", "hours"),
    [
        ("Europe/Berlin", datetime(2026, 3, 28, 23, tzinfo=UTC), 23),
        ("Europe/Berlin", datetime(2026, 10, 24, 22, tzinfo=UTC), 25),
        ("America/Havana", datetime(2026, 3, 8, 5, tzinfo=UTC), 23),  # midnight itself does not exist
        ("America/Havana", datetime(2026, 11, 1, 4, tzinfo=UTC), 25),  # midnight comes twice
        ("Asia/Kathmandu", datetime(2026, 6, 1, 18, 15, tzinfo=UTC), 24),
    ],
)
def test_a_day_is_as_long_as_the_clocks_say(zone: str, now: datetime, hours: int) -> None:
    assert budget(zone=zone).calendar.resets("daily", now) - now == timedelta(hours=hours)


@given(
    now=st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC)),
    zone=st.sampled_from(ZONES),
    period=st.sampled_from(PERIODS),
)
def test_the_period_changes_exactly_when_it_resets(now: datetime, zone: str, period: Period) -> None:
    spending = budget(zone=zone)
    spending.settle("a", Decimal(1), now)
    reset = spending.calendar.resets(period, now)
    assert now < reset <= now + timedelta(days={"daily": 2, "weekly": 8, "monthly": 32}[period])
    assert spending.settled(period, reset - timedelta(seconds=1)) == 1
    assert spending.settled(period, reset) == 0


def test_a_cap_lowered_below_what_is_spent_lets_nothing_more_through_and_says_so() -> None:
    spending = budget("5")
    spending.settle("a", Decimal(4), T0)
    lowered = Budget(BudgetSettings(daily=Decimal(1)), spending.ledger)
    assert not lowered.reserve("b", Decimal("0.0001"), T0)
    (status,) = lowered.status(T0)
    assert status.settled == 4
    assert status.cap == 1


def test_next_room_is_the_latest_reset_of_the_caps_that_lack_it() -> None:
    spending = budget("1", weekly=Decimal(1), monthly=Decimal(100))
    assert spending.next_room(Decimal(1), T0) is None
    spending.settle("a", Decimal(1), T0)
    assert spending.next_room(Decimal(1), T0) == datetime(2026, 3, 9, tzinfo=UTC)


def test_the_days_kept_are_the_newest() -> None:
    spending = budget()
    for day in range(200):
        spending.record(T0 + timedelta(days=day), local=False, spend=Decimal(1), all_remote=Decimal(1))
    assert len(spending.ledger.days) == 92
    assert max(spending.ledger.days) == (T0 + timedelta(days=199)).date().isoformat()


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago"])
def test_another_time_zone_forgets_nothing_that_was_spent_or_set_aside(zone: str) -> None:
    spending = budget("1")
    spending.settle("a", Decimal("0.60"), T0)
    spending.reserve("b", Decimal("0.40"), T0)
    moved = spending.under(BudgetSettings(daily=Decimal(1), timezone=zone), T0)
    assert (moved.settled("daily", T0), moved.reserved("daily", T0)) == (Decimal("0.60"), Decimal("0.40"))
    assert not moved.reserve("c", Decimal("0.01"), T0)
    moved.settle("b", Decimal("0.10"), T0)
    assert moved.settled("daily", T0) == Decimal("0.70")
