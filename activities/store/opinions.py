"""Every score of one remote model's answer against another's, once for each request."""

from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, func, select

from activities.store import amendments
from activities.store.amendments import ExampleKey, Kind
from activities.store.database import Database
from activities.store.dialect import insert_absent
from activities.store.tables import opinions as table
from apprentice.opinions import DISPUTED_BELOW

_agreement = select(func.count(), func.avg(table.c.score)).where(table.c.task == bindparam("task"))


class Agreement(NamedTuple):
    """How far two teachers agreed, on the mean of `n` requests; `mean` is None without any."""

    n: int
    mean: float | None


class Opinions:
    """The evidence behind "teachers agree", kept for audits; the workflow carries its own sum."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record(
        self,
        task: str,
        request_id: str,
        first: str,
        second: str,
        score: float,
        now: datetime,
        example: ExampleKey | None = None,
    ) -> bool:
        """Store an opinion unless the request has one. True when it was new.

        `first` and `second` name the models: provider and model, with a space between. `example` is disputed from now
        on if they say different things.
        """
        models = {"first": first, "second": second}
        row = {"task": task, "request_id": request_id, "score": score, "created_at": now} | models
        return await self._database.write(partial(_record, row=row, example=example))

    async def agreement(self, task: str) -> Agreement:
        """Of all requests with a second opinion. Reads all these rows: for audits."""
        rows = await self._database.read_bulk(lambda c: c.execute(_agreement, {"task": task}).one())
        return Agreement(*rows)


def _record(connection: Connection, row: dict[str, Any], example: ExampleKey | None) -> bool:
    new = insert_absent(connection, table, row)
    if new and example is not None and row["score"] < DISPUTED_BELOW:
        amendments.amend(connection, example, Kind.DISPUTED, None, row["created_at"])
    return new
