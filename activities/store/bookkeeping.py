"""The activities `spent` and `reconcile`: what the journal says of money, and what an operator says to it."""

from collections.abc import Callable
from datetime import datetime
from zoneinfo import ZoneInfo

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.contract import Spent
from activities.store.errors import NoSuchCall, OutcomeKnown
from activities.store.store import Store
from apprentice.messages import Reconcile, SpentQuery


class Bookkeeping:
    """Over one store."""

    def __init__(self, store: Store, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock

    @activity.defn(name="spent")
    async def spent(self, query: SpentQuery) -> Spent:
        """Settled costs and the upper bounds of calls in doubt, by task and day."""
        by_task: Spent = {}
        days = await self._store.journal.spend_by_day(query.since, ZoneInfo(query.timezone), query.task)
        for day in days:
            by_task.setdefault(day.task, {})[str(day.day)] = day.settled + day.unknown
        return by_task

    @activity.defn(name="reconcile")
    async def reconcile(self, task: str, order: Reconcile) -> None:
        """Non-retryable errors: NoSuchCall, OutcomeKnown."""
        try:
            await self._store.journal.reconcile(task, order.request_id, order.cost, self._clock())
        except (NoSuchCall, OutcomeKnown) as error:
            raise ApplicationError(str(error), type=type(error).__name__, non_retryable=True) from None
