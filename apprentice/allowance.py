"""A cap on the number of remote calls, beside the caps on money."""

from datetime import datetime
from decimal import Decimal

from apprentice.budget import Budget, Ledger
from apprentice.settings import BudgetSettings


class Allowance(Budget):
    """A budget that also counts: it has room for `calls` remote calls in all, whatever they cost.

    A call counts from its reservation on; one that certainly cost nothing is given back by `release`.
    """

    def __init__(self, settings: BudgetSettings, ledger: Ledger, calls: int) -> None:
        super().__init__(settings, ledger)
        self.left = calls

    def has_room(self, amount: Decimal, now: datetime, share: Decimal = Decimal(1)) -> bool:
        """As `Budget.has_room`; False also when no call is left."""
        return self.left > 0 and super().has_room(amount, now, share)

    def could_fit(self, amount: Decimal, now: datetime) -> bool:
        """As `Budget.could_fit`; False also when no call is left."""
        return self.left > 0 and super().could_fit(amount, now)

    def reserve(self, key: str, amount: Decimal, now: datetime, lease: str | None = None) -> bool:
        """As `Budget.reserve`; it takes one call."""
        taken = super().reserve(key, amount, now, lease)
        self.left -= taken
        return taken

    def release(self, key: str) -> None:
        """As `Budget.release`; the call is left again."""
        self.left += key in self.ledger.reservations
        super().release(key)
