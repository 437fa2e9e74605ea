"""The activities `spent` and `reconcile`: what the journal says of money, and what an operator says to it."""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.contract import Spent
from activities.store.errors import NoSuchCall, OutcomeKnown
from activities.store.store import Store
from apprentice.calendar import Calendar
from apprentice.messages import Reconcile, SpentQuery


class Bookkeeping:
    """Over one store."""

    def __init__(self, store: Store, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock

    @activity.defn(name="spent")
    async def spent(self, query: SpentQuery) -> Spent:
        """Settled costs and the upper bounds of calls in doubt, by task and day.

        Of all tasks, earlier days are one sum, under "": thousands of tasks and a month of days are too much to send.
        """
        by_task: Spent = {}
        today = Calendar(query.timezone).day(self._clock())
        days = await self._store.journal.spend_by_day(query.since, ZoneInfo(query.timezone), query.task)
        for day in days:
            book = by_task.setdefault(day.task if query.task or day.day >= today else "", {})
            book[str(day.day)] = book.get(str(day.day), Decimal(0)) + day.settled + day.unknown
        return by_task

    @activity.defn(name="reconcile")
    async def reconcile(self, task: str, order: Reconcile) -> None:
        """Non-retryable errors: NoSuchCall, OutcomeKnown."""
        try:
            await self._store.journal.reconcile(task, order.request_id, order.cost, self._clock())
        except (NoSuchCall, OutcomeKnown) as error:
            raise ApplicationError(str(error), type=type(error).__name__, non_retryable=True) from None
