"""What people say of answers, one row a request, and the draws of requests that they are asked about."""

import random
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import batched
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, select, update

from activities.store import amendments, drawing
from activities.store.amendments import ExampleKey, Kind
from activities.store.answers import Answers, answers_to
from activities.store.database import Database
from activities.store.dialect import insert_absent
from activities.store.drawing import Drawn
from activities.store.tables import feedback as table
from apprentice.gold import Labelling
from apprentice.messages import Source


@dataclass(frozen=True, slots=True)
class Given:
    """A label with what follows from it. `output` is right; None: what was served is wrong, and no more is known.

    `refuted` is a teacher's output that is known to be wrong while the right one is not.
    """

    key: ExampleKey
    request_id: str
    output: dict[str, Any] | None
    correct: bool | None
    refuted: dict[str, Any] | None
    teacher: str | None
    served_score: float | None
    teacher_score: float | None
    local_score: float | None
    agreement: float | None


class Taken(NamedTuple):
    """`audited`: the request was drawn. `corrected`: an example teaches something else now than its teacher said."""

    audited: bool
    corrected: bool


class Feedback:
    """Labels are personal data: they go with the calls when these are forgotten. What they amend stays."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def answers(self, task: str, request_id: str) -> Answers | None:
        """What a request was answered; None if it was not, or is forgotten."""
        return await self._database.read(partial(answers_to, task=task, request_id=request_id))

    async def give(self, given: Given, now: datetime) -> Taken:
        """Store a label in place of the one before, and amend the example of its input, in one transaction."""
        return await self._database.write(partial(_give, given=given, now=now))

    async def labellings(self, task: str, schema_version: int) -> list[Labelling]:
        """All that was drawn or labelled, without inputs and outputs."""
        key = {"task": task, "schema_version": schema_version}
        rows = await self._database.read_bulk(lambda connection: connection.execute(_scores, key).all())
        return [_labelling(row) for row in rows]

    async def draw(
        self, task: str, schema_version: int, of: Source, count: int, rng: random.Random, now: datetime
    ) -> list[Drawn]:
        """Draw requests, each with the same chance, and remember that they were; in random order.

        Those that were drawn before and have no label yet come first: an audit is fair only when all of it is labelled.
        `of` the teacher: requests that it answered, whichever answer was served. Of the local model: those that it
        answered alone. Reads the keys of all these requests, beside those that are served.
        """
        key = {"task": task, "schema_version": schema_version}
        drawn: list[Drawn] = []
        for choose in (drawing.unlabelled, drawing.fresh):
            ids = await self._database.read_bulk(partial(choose, key=key, of=of, count=count - len(drawn), rng=rng))
            for part in batched(ids, drawing.PART):
                drawn += await self._database.write(partial(drawing.mark, key=key, ids=part, now=now))
        return drawn


_of_request = (table.c.task == bindparam("of_task")) & (table.c.request_id == bindparam("of_request"))
_here = select(table.c.audited, table.c.amends).where(_of_request).with_for_update()
_change = update(table).where(_of_request)
_scores = select(
    table.c.audited,
    table.c.labelled_at,
    table.c.teacher,
    table.c.served_score,
    table.c.teacher_score,
    table.c.local_score,
    table.c.agreement,
).where(table.c.task == bindparam("task"), table.c.schema_version == bindparam("schema_version"))


def _give(connection: Connection, given: Given, now: datetime) -> Taken:
    names = ("output", "correct", "teacher", "served_score", "teacher_score", "local_score", "agreement")
    taught = amendments.taught(connection, given.key)
    # The example of an input has the first answer to it, which need not be the one that is known to be wrong.
    amends = taught is not None and (given.output is not None or taught == given.refuted)
    values = {name: getattr(given, name) for name in names} | {"amends": amends, "labelled_at": now}
    key = {"task": given.key.task, "request_id": given.request_id}
    fresh = {"schema_version": given.key.schema_version, "audited": False, "created_at": now}
    before = connection.execute(_here, {"of_task": given.key.task, "of_request": given.request_id}).one_or_none()
    if not insert_absent(connection, table, key | fresh | values):
        connection.execute(_change, {"of_task": given.key.task, "of_request": given.request_id} | values)
    if amends:
        amendments.amend(connection, given.key, Kind.LABEL, given.output, now)
    elif before is not None and before.amends:
        amendments.amend(connection, given.key, Kind.UNSAID, None, now)
    corrected = amends and given.output is not None and given.output != taught
    return Taken(before is not None and before.audited, corrected)


def _labelling(row: Any) -> Labelling:
    return Labelling(
        audited=row.audited,
        labelled=row.labelled_at is not None,
        teacher=row.teacher,
        served_score=row.served_score,
        teacher_score=row.teacher_score,
        local_score=row.local_score,
        agreement=row.agreement,
    )
