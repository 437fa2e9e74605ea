"""Caps on spend: reserve an upper bound, settle the real price, never pass a cap.

The invariant, for every period at every moment: settled + reserved <= cap. A reservation belongs to the periods in
which it was made, and so does its settlement, even if midnight passes in between.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel

from apprentice.messages import CapStatus, DaySpend
from apprentice.settings import BudgetSettings

Period = Literal["daily", "weekly", "monthly"]
PERIODS: tuple[Period, ...] = ("daily", "weekly", "monthly")
DAYS_KEPT = 92


class Reservation(BaseModel):
    """Money set aside for a call in flight, and the periods (by key) that it counts in."""

    amount: Decimal
    periods: dict[Period, str]


class Ledger(BaseModel):
    """What was spent and what is set aside. `settled` is kept for each period's current key only."""

    settled: dict[Period, dict[str, Decimal]] = {}
    reservations: dict[str, Reservation] = {}
    days: dict[str, DaySpend] = {}


class Budget:
    """One task's caps over its ledger. All times are aware; periods begin in the settings' time zone."""

    def __init__(self, settings: BudgetSettings, ledger: Ledger) -> None:
        self.settings = settings
        self.ledger = ledger
        self._zone = ZoneInfo(settings.timezone)

    def under(self, settings: BudgetSettings, now: datetime) -> "Budget":
        """The same ledger under other settings. In another time zone the current periods keep what was spent."""
        budget = Budget(settings, self.ledger)
        for period in PERIODS:
            old, new = self._key(period, now), budget._key(period, now)
            if old == new:
                continue
            book = self.ledger.settled.setdefault(period, {})
            book[new] = book.get(new, Decimal(0)) + book.pop(old, Decimal(0))
            for reservation in self.ledger.reservations.values():
                if reservation.periods[period] == old:
                    reservation.periods[period] = new
        return budget

    def reserve(self, key: str, amount: Decimal, now: datetime) -> bool:
        """Set `amount` aside under `key`; False, and nothing happens, if any cap has no room for it."""
        if key in self.ledger.reservations:
            raise ValueError(f"{key} already has a reservation")
        if any(self.settled(p, now) + self.reserved(p, now) + amount > cap for p, cap in self._caps()):
            return False
        periods = {period: self._key(period, now) for period in PERIODS}
        self.ledger.reservations[key] = Reservation(amount=amount, periods=periods)
        return True

    def release(self, key: str) -> None:
        """Give back a reservation whose call certainly cost nothing; unknown keys are ignored."""
        self.ledger.reservations.pop(key, None)

    def settle(self, key: str, cost: Decimal, now: datetime) -> None:
        """Turn the reservation into its real cost, in the periods in which it was made."""
        reservation = self.ledger.reservations.pop(key, None)
        periods = reservation.periods if reservation else {period: self._key(period, now) for period in PERIODS}
        for period, period_key in periods.items():
            book = self.ledger.settled.setdefault(period, {})
            book[period_key] = book.get(period_key, Decimal(0)) + cost
        self._forget(now)

    def settled(self, period: Period, now: datetime) -> Decimal:
        """Spent in the current period."""
        return self.ledger.settled.get(period, {}).get(self._key(period, now), Decimal(0))

    def reserved(self, period: Period, now: datetime) -> Decimal:
        """Set aside in the current period."""
        key = self._key(period, now)
        held = self.ledger.reservations.values()
        return sum((r.amount for r in held if r.periods.get(period) == key), Decimal(0))

    def status(self, now: datetime) -> list[CapStatus]:
        """Every cap that is set."""
        return [
            CapStatus(
                period=period,
                cap=cap,
                settled=self.settled(period, now),
                reserved=self.reserved(period, now),
                resets=self.resets(period, now),
            )
            for period, cap in self._caps()
        ]

    def next_room(self, amount: Decimal, now: datetime) -> datetime | None:
        """When `amount` could fit again: the latest reset among the caps that lack room; None if it fits now."""
        full = [p for p, cap in self._caps() if self.settled(p, now) + self.reserved(p, now) + amount > cap]
        return max((self.resets(period, now) for period in full), default=None)

    def record(self, now: datetime, *, local: bool, spend: Decimal, all_remote: Decimal) -> None:
        """Add one served request to the day's line."""
        day = self._key("daily", now)
        line = self.ledger.days.get(day) or DaySpend(day=day)
        self.ledger.days[day] = DaySpend(
            day=day,
            requests=line.requests + 1,
            local=line.local + local,
            spend=line.spend + spend,
            all_remote=line.all_remote + all_remote,
        )
        while len(self.ledger.days) > DAYS_KEPT:
            del self.ledger.days[min(self.ledger.days)]

    def resets(self, period: Period, now: datetime) -> datetime:
        """When the period after the current one begins, in UTC. Days of 23 and 25 hours come out right."""
        today = now.astimezone(self._zone).date()
        match period:
            case "daily":
                start = today + timedelta(days=1)
            case "weekly":
                start = today + timedelta(days=7 - today.weekday())
            case "monthly":
                start = (today.replace(day=28) + timedelta(days=4)).replace(day=1)
        return datetime.combine(start, time(), self._zone).astimezone(UTC)

    def _caps(self) -> Iterator[tuple[Period, Decimal]]:
        for period in PERIODS:
            cap: Decimal | None = getattr(self.settings, period)
            if cap is not None:
                yield period, cap

    def _key(self, period: Period, now: datetime) -> str:
        today = now.astimezone(self._zone).date()
        match period:
            case "daily":
                return today.isoformat()
            case "weekly":
                return (today - timedelta(days=today.weekday())).isoformat()
            case "monthly":
                return f"{today:%Y-%m}"

    def _forget(self, now: datetime) -> None:
        """Drop periods that are over. Keys sort by time, so a late settlement of an old period goes at once."""
        for period, book in self.ledger.settled.items():
            current = self._key(period, now)
            for key in [key for key in book if key < current]:
                del book[key]
