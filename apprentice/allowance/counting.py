"""A cap on the number of remote calls, beside the caps on money."""

from datetime import datetime
from decimal import Decimal

from apprentice.allowance.state import AllowanceState
from apprentice.budget import Budget, Ledger, Reservation
from apprentice.settings import AllowanceSettings, BudgetSettings

WHOLE = "all"
"""The key of an allowance that is for a recording, and never begins anew."""


class CallBudget(Budget):
    """A budget that also counts: it has room for so many remote calls in a period, whatever they cost.

    A call counts from its reservation on; one that certainly cost nothing is given back by `release`.
    """

    def __init__(
        self, settings: BudgetSettings, ledger: Ledger, allowance: AllowanceSettings, state: AllowanceState
    ) -> None:
        super().__init__(settings, ledger)
        self.allowance = allowance
        self.state = state

    def key(self, now: datetime) -> str:
        """Names the current period."""
        return WHOLE if self.state.horizon is not None else self.calendar.now(self.allowance.period, now)

    def left(self, now: datetime) -> int:
        """Calls that may still be made in the current period."""
        taken = self.state.taken if self.state.key == self.key(now) else 0
        return max(0, (self.allowance.remote_calls or 0) - taken)

    def resets(self, now: datetime) -> datetime | None:
        """When the next period begins; None if none does."""
        return None if self.state.horizon is not None else self.calendar.resets(self.allowance.period, now)

    def roll(self, now: datetime) -> bool:
        """Begin the current period if it has not begun; whether it had to be begun."""
        state, key = self.state, self.key(now)
        if state.key == key:
            return False
        state.key, state.taken = key, 0
        return True

    def has_room(self, amount: Decimal, now: datetime, share: Decimal = Decimal(1)) -> bool:
        """As `Budget.has_room`; False also when no call is left."""
        return self.left(now) > 0 and super().has_room(amount, now, share)

    def could_fit(self, amount: Decimal, now: datetime) -> bool:
        """As `Budget.could_fit`; False also when no call is left."""
        return self.left(now) > 0 and super().could_fit(amount, now)

    def next_room(self, amount: Decimal, now: datetime) -> datetime | None:
        """As `Budget.next_room`; not before the next period when no call is left."""
        times = [super().next_room(amount, now), None if self.left(now) else self.resets(now)]
        return max((time for time in times if time), default=None)

    def reserve(self, key: str, amount: Decimal, now: datetime, lease: str | None = None) -> bool:
        """As `Budget.reserve`; it takes one call."""
        taken = super().reserve(key, amount, now, lease)
        if taken:
            self.roll(now)
            self.state.taken += 1
        return taken

    def release(self, key: str) -> None:
        """As `Budget.release`; a call of this period is left again."""
        held = self.ledger.reservations.get(key)
        if held is not None and self._current(held):
            self.state.taken = max(0, self.state.taken - 1)
        super().release(key)

    def follow(self, before: "CallBudget", now: datetime) -> None:
        """Go on after other settings: in another time zone, or another kind of period, calls taken count on."""
        if self.state.key and self.state.key == before.key(now):
            self.state.key = self.key(now)

    def _current(self, held: Reservation) -> bool:
        return self.state.key in (WHOLE, held.periods.get(self.allowance.period))
