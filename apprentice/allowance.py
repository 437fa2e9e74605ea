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

    def reserve(self, key: str, amount: Decimal, now: datetime) -> bool:
        """As `Budget.reserve`; False also when no call is left."""
        if self.left <= 0 or not super().reserve(key, amount, now):
            return False
        self.left -= 1
        return True

    def release(self, key: str) -> None:
        """As `Budget.release`; the call is left again."""
        self.left += key in self.ledger.reservations
        super().release(key)
