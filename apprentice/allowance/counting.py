"""A cap on the number of remote calls, beside the caps on money."""

from datetime import datetime
from decimal import Decimal

from apprentice.allowance.state import AllowanceState
from apprentice.budget import Budget, Ledger
from apprentice.settings import AllowanceSettings, BudgetSettings

WHOLE = "all"
"""The key of an allowance that is for a recording, and never begins anew."""


class CallBudget(Budget):
    """A budget that also counts: it has room for so many remote calls in a period, whatever they cost.

    A call counts from its reservation on; one that was certainly not made is given back by `release`. All calls of the
    running period count, as with money: also those made while there was no allowance or another kind of period. Only a
    task that is retired begins its count anew, and one that comes from before 0.4, which did not count.
    """

    def __init__(
        self, settings: BudgetSettings, ledger: Ledger, allowance: AllowanceSettings, state: AllowanceState
    ) -> None:
        super().__init__(settings, ledger)
        self.allowance = allowance
        self.state = state

    def key(self, now: datetime) -> str:
        """Names the current period."""
        return WHOLE if self._recorded else self.calendar.now(self.allowance.period, now)

    def left(self, now: datetime) -> int:
        """Calls that may still be made in the current period."""
        return max(0, (self.allowance.remote_calls or 0) - self._taken(now))

    def resets(self, now: datetime) -> datetime | None:
        """When the next period begins; None if none does."""
        return None if self._recorded else self.calendar.resets(self.allowance.period, now)

    def roll(self, now: datetime) -> bool:
        """Begin the current period if it has not begun; whether it had to be begun."""
        state, key = self.state, self.key(now)
        if state.key == key:
            return False
        state.key, state.taken = key, self._taken(now)
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
            self.state.taken = self.state.taken + 1 if self._recorded else self._taken(now)
        return taken

    def release(self, key: str) -> None:
        """As `Budget.release`; a call of this period is left again."""
        held = self.ledger.reservations.get(key)
        if held is not None and self.state.key in (WHOLE, held.periods.get(self.allowance.period)):
            self.state.taken = max(0, self.state.taken - held.calls)
        super().release(key)

    def begin(self, now: datetime) -> None:
        """Go on from what the ledger knows of the running period: settings changed."""
        if not self._recorded:
            self.state.key = ""
            self.roll(now)

    @property
    def _recorded(self) -> bool:
        return self.state.horizon is not None

    def _taken(self, now: datetime) -> int:
        """Calls made in the current period."""
        if self._recorded:
            return self.state.taken if self.state.key == WHOLE else 0
        return self.made(self.allowance.period, now)
