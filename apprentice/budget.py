"""Caps on spend: reserve an upper bound, settle the real price, never pass a cap.

The invariant, for every period at every moment: settled + reserved <= cap. A reservation belongs to the periods in
which it was made, and so does its settlement, even if midnight passes in between.
"""

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from pydantic import BaseModel

from apprentice.calendar import PERIODS, Calendar
from apprentice.messages import CapStatus, DaySpend, Period
from apprentice.settings import BudgetSettings

DAYS_KEPT = 92


class Reservation(BaseModel):
    """Money set aside for a call, the periods (by key) that it counts in, and the day of the lease it comes out of.

    `calls`: it may be for several, those of a batch.
    """

    amount: Decimal
    periods: dict[Period, str]
    lease: str | None = None
    calls: int = 1


class Ledger(BaseModel):
    """What was spent and what is set aside. `settled` and `calls` are kept for each period's current key only.

    `calls` were reserved and not given back, whether or not anything limits them. `unknown` are calls in doubt, by
    request id: already settled, at their upper bound.
    """

    settled: dict[Period, dict[str, Decimal]] = {}
    calls: dict[Period, dict[str, int]] = {}
    reservations: dict[str, Reservation] = {}
    unknown: dict[str, Reservation] = {}
    days: dict[str, DaySpend] = {}


class Budget:
    """One task's caps over its ledger. All times are aware; periods begin in the settings' time zone."""

    def __init__(self, settings: BudgetSettings, ledger: Ledger) -> None:
        self.settings = settings
        self.ledger = ledger
        self.calendar = Calendar(settings.timezone)

    def under(self, settings: BudgetSettings, now: datetime) -> "Budget":
        """The same ledger under other settings. In another time zone the current periods keep what was spent."""
        budget = Budget(settings, self.ledger)
        for period in PERIODS:
            old, new = self.calendar.now(period, now), budget.calendar.now(period, now)
            if old == new:
                continue
            book = self.ledger.settled.setdefault(period, {})
            book[new] = book.get(new, Decimal(0)) + book.pop(old, Decimal(0))
            made = self.ledger.calls.setdefault(period, {})
            made[new] = made.get(new, 0) + made.pop(old, 0)
            for reservation in [*self.ledger.reservations.values(), *self.ledger.unknown.values()]:
                if reservation.periods[period] == old:
                    reservation.periods[period] = new
        return budget

    def reserve(self, key: str, amount: Decimal, now: datetime, lease: str | None = None) -> bool:
        """Set `amount` aside under `key`; False, and nothing happens, if any cap has no room for it."""
        if key in self.ledger.reservations:
            raise ValueError(f"{key} already has a reservation")
        if not self.has_room(amount, now):
            return False
        held = self.ledger.reservations[key] = Reservation(amount=amount, periods=self._periods(now), lease=lease)
        self._count(held.periods, 1)
        self._forget(now)
        return True

    def add(self, key: str, amount: Decimal, now: datetime, lease: str | None = None) -> bool:
        """Set more aside under a key that may have some already; False, and nothing happens, without room for it.

        Only within the periods and the lease in which it was begun (`same`).
        """
        held = self.ledger.reservations.get(key)
        if held is None:
            return self.reserve(key, amount, now, lease)
        if not self.has_room(amount, now):
            return False
        more = {"amount": held.amount + amount, "calls": held.calls + 1}
        self.ledger.reservations[key] = held.model_copy(update=more)
        self._count(held.periods, 1)
        return True

    def same(self, key: str, now: datetime, lease: str | None = None) -> bool:
        """Whether what is set aside under the key, if anything, counts in the current periods and this lease."""
        held = self.ledger.reservations.get(key)
        return held is None or (held.periods == self._periods(now) and held.lease == lease)

    def has_room(self, amount: Decimal, now: datetime, share: Decimal = Decimal(1)) -> bool:
        """Whether `amount` fits into this share of every cap, beside all that is settled and reserved."""
        return all(self.settled(p, now) + self.reserved(p, now) + amount <= share * cap for p, cap in self._caps())

    def could_fit(self, amount: Decimal, now: datetime) -> bool:
        """Whether `amount` would fit if what is reserved came to nothing."""
        return all(self.settled(period, now) + amount <= cap for period, cap in self._caps())

    def release(self, key: str) -> None:
        """Give back a reservation whose call certainly cost nothing; unknown keys are ignored."""
        held = self.ledger.reservations.pop(key, None)
        if held is not None:
            self._count(held.periods, -held.calls)

    def settle(self, key: str, cost: Decimal, now: datetime) -> Reservation:
        """Turn the reservation into its real cost, in the periods in which it was made. Returns what it was."""
        reservation = self.ledger.reservations.pop(key, None)
        if reservation is None:
            reservation = Reservation(amount=Decimal(0), periods=self._periods(now))
        self._enter(reservation.periods, cost)
        self._forget(now)
        return reservation

    def correct(self, reservation: Reservation, by: Decimal, now: datetime) -> None:
        """Change by so much (mostly down) what was settled in the periods of a reservation."""
        self._enter(reservation.periods, by)
        self._forget(now)

    def recover(self, spent: Mapping[str, Decimal], now: datetime) -> None:
        """Count what an earlier life of the task spent, by day (ISO)."""
        for day, amount in spent.items():
            self._enter({period: self.calendar.key(period, date.fromisoformat(day)) for period in PERIODS}, amount)
        self._forget(now)

    def settled(self, period: Period, now: datetime) -> Decimal:
        """Spent in the current period."""
        return self.ledger.settled.get(period, {}).get(self.calendar.now(period, now), Decimal(0))

    def made(self, period: Period, now: datetime) -> int:
        """Calls of the current period: reserved, and not given back."""
        return self.ledger.calls.get(period, {}).get(self.calendar.now(period, now), 0)

    def reserved(self, period: Period, now: datetime) -> Decimal:
        """Set aside in the current period."""
        key = self.calendar.now(period, now)
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
                resets=self.calendar.resets(period, now),
            )
            for period, cap in self._caps()
        ]

    def next_room(self, amount: Decimal, now: datetime) -> datetime | None:
        """When `amount` could fit again: the latest reset among the caps that lack room; None if it fits now."""
        full = [p for p, cap in self._caps() if self.settled(p, now) + self.reserved(p, now) + amount > cap]
        return max((self.calendar.resets(period, now) for period in full), default=None)

    def record(
        self,
        now: datetime,
        *,
        local: bool,
        spend: Decimal,
        all_remote: Decimal,
        local_cost: Decimal = Decimal(0),
        requests: int = 1,
    ) -> None:
        """Add one served request to the day's line; `requests` is 0 for what was spent besides."""
        day = self.calendar.now("daily", now)
        line = self.ledger.days.get(day) or DaySpend(day=day)
        self.ledger.days[day] = DaySpend(
            day=day,
            requests=line.requests + requests,
            local=line.local + local,
            spend=line.spend + spend,
            all_remote=line.all_remote + all_remote,
            local_cost=line.local_cost + local_cost,
        )
        while len(self.ledger.days) > DAYS_KEPT:
            del self.ledger.days[min(self.ledger.days)]

    def record_spend(self, now: datetime, spend: Decimal) -> None:
        """Add to the day's line what was paid besides any request."""
        day = self.calendar.now("daily", now)
        line = self.ledger.days.get(day) or DaySpend(day=day)
        self.ledger.days[day] = line.model_copy(update={"spend": line.spend + spend})
        while len(self.ledger.days) > DAYS_KEPT:
            del self.ledger.days[min(self.ledger.days)]

    def _caps(self) -> Iterator[tuple[Period, Decimal]]:
        return caps_of(self.settings)

    def _periods(self, now: datetime) -> dict[Period, str]:
        return {period: self.calendar.now(period, now) for period in PERIODS}

    def _enter(self, periods: Mapping[Period, str], amount: Decimal) -> None:
        for period, key in periods.items():
            book = self.ledger.settled.setdefault(period, {})
            book[key] = book.get(key, Decimal(0)) + amount

    def _count(self, periods: Mapping[Period, str], calls: int) -> None:
        for period, key in periods.items():
            book = self.ledger.calls.setdefault(period, {})
            book[key] = book.get(key, 0) + calls
            if book[key] <= 0:  # all were given back, or the period was forgotten
                del book[key]
        self.ledger.calls = {period: book for period, book in self.ledger.calls.items() if book}

    def _forget(self, now: datetime) -> None:
        """Drop periods that are over. Keys sort by time, so a late settlement of an old period goes at once."""
        books: list[tuple[Period, dict[str, Any]]] = [*self.ledger.settled.items(), *self.ledger.calls.items()]
        for period, book in books:
            current = self.calendar.now(period, now)
            for key in [key for key in book if key < current]:
                del book[key]


def caps_of(settings: BudgetSettings) -> Iterator[tuple[Period, Decimal]]:
    """Every cap that is set."""
    for period in PERIODS:
        cap: Decimal | None = getattr(settings, period)
        if cap is not None:
            yield period, cap
