"""The journal: what was asked, what it may have cost, what was answered, which answer was served.

A paid call is two commits: its intent before it is made, its outcome before anyone is told. So a crash in between
leaves an intent without an answer, and that counts as spent up to its upper bound.
"""

from datetime import datetime, tzinfo
from decimal import Decimal
from functools import partial

from sqlalchemy import select

from activities.store import calls, forgetting, reconciling, spending
from activities.store.database import Database
from activities.store.examples import Example
from activities.store.records import CallState, DaySpend, Intent, Served, Settled, Standing, Unknown, UnknownCall
from activities.store.tables import calls as table
from apprentice.messages import Answer, Source


class Journal:
    """Keyed by (task, request id, role). Every operation is one transaction and O(log n)."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def served(self, task: str, request_id: str) -> Served | None:
        """The answer that was served for the request, whoever gave it; None when none was."""
        return await self._database.read(lambda connection: calls.served(calls.rows_of(connection, task, request_id)))

    async def intend(self, intent: Intent, now: datetime) -> Standing:
        """Write that a call is about to be made, unless it was made before or the request has its answer.

        A FAILED call becomes a new one. Where the intent allows it and there is one, the request gets another's answer
        instead (`Standing.copied`), for good. Raises RequestIdReused.
        """
        return await self._database.write(lambda connection: calls.intend(connection, intent, now))

    async def is_to_be_made(self, intent: Intent) -> bool:
        """Whether `intend` would write a new call now. Raises RequestIdReused."""
        return await self._database.read(lambda connection: calls.is_to_be_made(connection, intent))

    async def answered(self, intent: Intent, answer: Answer, example: Example | None, now: datetime) -> Settled:
        """Write the answer, mark it served (unless another was) and add the example, in one transaction.

        A second answer to the same call is dropped: the first stands. `example.split` comes back only for an input that
        the data set did not have.
        """
        return await self._database.write(lambda connection: calls.answered(connection, intent, answer, example, now))

    async def intend_beside(self, intents: list[Intent], now: datetime) -> list[Standing]:
        """`intend` for calls whose answers nobody waits for: also of requests that have their answer, of another model.

        Where a call is neither ours to make nor was begun in this admission, `Standing.error` says why.
        """
        return await self._database.write(lambda connection: calls.intend_beside(connection, intents, now))

    async def is_in_doubt(self, intent: Intent) -> bool:
        """Whether this call was begun, in this admission, and nobody knows what became of it."""
        return await self._database.read(lambda connection: calls.is_in_doubt(connection, intent))

    async def failed(self, intent: Intent, error: str, now: datetime) -> None:
        """The call certainly cost nothing. It may be made again.

        Not for a call whose standing was INTENT: of the attempt before nobody knows what it cost.
        """
        await self._database.write(lambda c: calls.settle(c, intent, CallState.FAILED, now, error=error))

    async def rejected(self, intent: Intent, cost: Decimal, error: str, now: datetime, text: str | None = None) -> None:
        """The call was paid but its answer cannot be used. It is not made again: that would be paying twice.

        `text` is what the model wrote, kept for those who want to know why.
        """
        await self._database.write(
            lambda c: calls.settle(c, intent, CallState.REJECTED, now, error=error, cost=cost, text=text)
        )

    async def served_locally(
        self,
        task: str,
        request_id: str,
        input_hash: str,
        answer: Answer,
        degraded: bool,
        now: datetime,
        admission: str,
        *,
        reason: str | None = None,
        propensity: float | None = None,
    ) -> Served:
        """Write a final local answer. Returns what is served: an answer that was there before, else this one.

        `admission` is what a later run of the same activity is known by; `reason` and `propensity` are the route's.
        Raises RequestIdReused.
        """
        row = calls.local_row(
            *(task, request_id, input_hash, answer, degraded, now, admission), reason=reason, propensity=propensity
        )
        return await self._database.write(lambda connection: calls.serve_locally(connection, row, answer))

    async def unknown(self, task: str) -> Unknown:
        """The calls whose outcome nobody knows, together. Cheap: it reads only those."""
        return await self._database.read(lambda connection: reconciling.total(connection, task))

    async def unknowns(self, task: str) -> list[UnknownCall]:
        """The calls whose outcome nobody knows, oldest first. Those being made at this moment are among them."""
        return await self._database.read(lambda connection: reconciling.each(connection, task))

    async def reconcile(self, task: str, request_id: str, cost: Decimal, now: datetime) -> Decimal:
        """Settle a call of unknown outcome at what it really cost; returns the upper bound that it was counted at.

        0: it was never made, and may be made (FAILED). More: it was paid, its answer is lost, and it is not made again
        (REJECTED). Saying the same again changes nothing and returns the same. Raises NoSuchCall, OutcomeKnown, and
        ValueError for a negative cost.
        """
        if not cost >= 0:
            raise ValueError(f"a call cannot have cost {cost}")
        return await self._database.write(lambda c: reconciling.reconcile(c, task, request_id, cost, now))

    async def spend(self, task: str) -> Decimal:
        """Settled prices plus the upper bounds of the unknown; what local answers cost is no spend. Reads every call of
        the task: for audits."""
        query = select(table.c.cost).where(
            table.c.task == task, table.c.role == Source.REMOTE.value, table.c.cost.is_not(None)
        )
        settled = await self._database.read_bulk(lambda c: sum(c.execute(query).scalars(), Decimal(0)))
        return settled + (await self.unknown(task)).upper_bound

    async def spend_by_day(self, since: datetime, zone: tzinfo, task: str | None = None) -> list[DaySpend]:
        """What each task, or one, spent on each day of a time zone, of the calls begun at `since` or later.

        In order of task and day; days without calls are left out. Reads all these calls, beside the requests.
        """
        return await self._database.read_bulk(spending.by_day(since, zone, task))

    async def forget(self, before: datetime, batch: int = 500) -> int:
        """Delete settled calls, comparisons, opinions, labels and questions of batches from before that time.

        Returns how many rows, deleted `batch` at a time. A request that is forgotten is a new one if it comes again.
        Calls in doubt are never deleted, nor are examples and their amendments.
        """
        forgotten = 0
        parts = (
            forgetting.old_calls,
            forgetting.old_comparisons,
            forgetting.old_opinions,
            forgetting.old_feedback,
            forgetting.old_questions,
        )
        for part in parts:
            some = partial(part, before=before, batch=batch)
            while deleted := await self._database.write(some):
                forgotten += deleted
        return forgotten
