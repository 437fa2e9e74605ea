"""The journal: what was asked, what it may have cost, what was answered, which answer was served.

A paid call is two commits: its intent before it is made, its outcome before anyone is told. So a crash in between
leaves an intent without an answer, and that counts as spent up to its upper bound.
"""

from datetime import datetime
from decimal import Decimal

from sqlalchemy import BindParameter, bindparam, select

from activities.store import calls
from activities.store.database import Database
from activities.store.examples import Example
from activities.store.records import CallState, Intent, Served, Settled, Standing, Unknown
from activities.store.tables import calls as table
from apprentice.messages import Answer

# Written out, not bound: only then does the database see that its partial index applies.
_IN_DOUBT: BindParameter[str] = bindparam("in_doubt", CallState.INTENT.value, literal_execute=True)


class Journal:
    """Keyed by (task, request id, role). Every operation is one transaction and O(log n)."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def served(self, task: str, request_id: str) -> Served | None:
        """The answer that was served for the request, whoever gave it; None when none was."""
        return await self._database.read(lambda connection: calls.served(calls.rows_of(connection, task, request_id)))

    async def intend(self, intent: Intent, now: datetime) -> Standing:
        """Write that a call is about to be made, unless it was made before or the request has its answer.

        A FAILED call becomes a new one. Raises RequestIdReused.
        """
        return await self._database.write(lambda connection: calls.intend(connection, intent, now))

    async def answered(self, intent: Intent, answer: Answer, example: Example | None, now: datetime) -> Settled:
        """Write the answer, mark it served (unless another was) and add the example, in one transaction.

        A second answer to the same call is dropped: the first stands. `example.split` comes back only for an input that
        the data set did not have.
        """
        return await self._database.write(lambda connection: calls.answered(connection, intent, answer, example, now))

    async def failed(self, intent: Intent, error: str, now: datetime) -> None:
        """The call certainly cost nothing. It may be made again.

        Not for a call whose standing was INTENT: of the attempt before nobody knows what it cost.
        """
        await self._database.write(lambda c: calls.settle(c, intent, CallState.FAILED, now, error=error))

    async def rejected(self, intent: Intent, cost: Decimal, error: str, now: datetime) -> None:
        """The call was paid but its answer cannot be used. It is not made again: that would be paying twice."""
        await self._database.write(lambda c: calls.settle(c, intent, CallState.REJECTED, now, error=error, cost=cost))

    async def served_locally(
        self,
        task: str,
        request_id: str,
        input_hash: str,
        answer: Answer,
        degraded: bool,
        now: datetime,
        admission: str,
    ) -> Served:
        """Write a final local answer. Returns what is served: an answer that was there before, else this one.

        `admission` is what a later run of the same activity is known by. Raises RequestIdReused.
        """
        row = calls.local_row(task, request_id, input_hash, answer, degraded, now, admission)
        return await self._database.write(lambda connection: calls.serve_locally(connection, row, answer))

    async def unknown(self, task: str) -> Unknown:
        """The calls whose outcome nobody knows. Cheap: it reads only those."""
        query = select(table.c.upper_bound).where(table.c.task == task, table.c.state == _IN_DOUBT)
        bounds = await self._database.read(lambda connection: connection.execute(query).scalars().all())
        return Unknown(len(bounds), sum(bounds, Decimal(0)))

    async def spend(self, task: str) -> Decimal:
        """Settled costs plus the upper bounds of the unknown. Reads every call of the task: for audits."""
        query = select(table.c.cost).where(table.c.task == task, table.c.cost.is_not(None))
        settled = await self._database.read_bulk(lambda c: sum(c.execute(query).scalars(), Decimal(0)))
        return settled + (await self.unknown(task)).upper_bound
