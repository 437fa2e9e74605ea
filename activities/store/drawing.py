"""Which requests people are asked about: drawn at random, since those that they choose are the wrong ones."""

import random
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, bindparam, func, select, update

from activities.store.answers import answers_to
from activities.store.dialect import insert_absent
from activities.store.records import CallState
from activities.store.tables import calls, examples
from activities.store.tables import feedback as table
from apprentice.messages import Source

KEPT = 1000
"""Rows in memory at a time, of all requests that a draw chooses from."""
PART = 100
"""Rows that a draw writes at a time, beside those that are served."""


class Drawn(NamedTuple):
    """A request that was drawn. `input` is None where the store does not have it: of requests answered locally."""

    request_id: str
    input: dict[str, Any] | None
    answer: dict[str, Any]
    output: dict[str, Any] | None
    correct: bool | None


def unlabelled(connection: Connection, key: dict[str, Any], of: Source, count: int, rng: random.Random) -> list[str]:
    """Drawn before, and not labelled yet."""
    by_teacher = table.c.teacher.is_not(None) if of is Source.REMOTE else table.c.teacher.is_(None)
    query = select(table.c.request_id).where(
        table.c.task == bindparam("task"),
        table.c.schema_version == bindparam("schema_version"),
        table.c.audited,
        table.c.labelled_at.is_(None),
        by_teacher,
    )
    return _reservoir(connection, query, key, count, rng)


def fresh(connection: Connection, key: dict[str, Any], of: Source, count: int, rng: random.Random) -> list[str]:
    """Not drawn before, whether they are labelled or not: who labelled them did not toss a coin."""
    query = _taught(key) if of is Source.REMOTE else _alone(connection, key)
    return _reservoir(connection, query, key, count, rng)


def _reservoir(
    connection: Connection, query: Select[Any], key: dict[str, Any], count: int, rng: random.Random
) -> list[str]:
    """Vitter's algorithm R: one pass, and no more in memory than are wanted."""
    chosen: list[str] = []
    if count <= 0:
        return chosen
    rows = connection.execute(query.execution_options(yield_per=KEPT), key)
    for number, (request_id,) in enumerate(rows):
        if number < count:
            chosen.append(request_id)
        elif (place := rng.randrange(number + 1)) < count:
            chosen[place] = request_id
    rng.shuffle(chosen)  # the first places of a reservoir are of old requests more often, and people stop early
    return chosen


def _taught(key: dict[str, Any]) -> Select[Any]:
    return select(calls.c.request_id).where(
        calls.c.task == bindparam("task"),
        calls.c.schema_version == bindparam("schema_version"),
        calls.c.role == Source.REMOTE.value,
        calls.c.state == CallState.ANSWERED.value,
        _not_drawn(calls.c.request_id, key["task"]),
    )


def _alone(connection: Connection, key: dict[str, Any]) -> Select[Any]:
    """A local call does not say of which schema it is: it is not older than the first example of this one."""
    others = calls.alias()
    taught = select(others.c.request_id).where(
        others.c.task == calls.c.task,
        others.c.request_id == calls.c.request_id,
        others.c.role == Source.REMOTE.value,
        others.c.state == CallState.ANSWERED.value,
    )
    of_schema = (examples.c.task == key["task"]) & (examples.c.schema_version == key["schema_version"])
    since = connection.execute(select(func.min(examples.c.created_at)).where(of_schema)).scalar_one()
    return select(calls.c.request_id).where(
        calls.c.task == bindparam("task"),
        calls.c.role == Source.LOCAL.value,
        calls.c.served,
        *([] if since is None or key["schema_version"] == 1 else [calls.c.created_at >= since]),
        ~taught.exists(),
        _not_drawn(calls.c.request_id, key["task"]),
    )


def _not_drawn(request_id: Any, task: str) -> Any:
    drawn = select(table.c.request_id).where(table.c.task == task, table.c.request_id == request_id, table.c.audited)
    return ~drawn.exists()


def mark(connection: Connection, key: dict[str, Any], ids: Sequence[str], now: datetime) -> list[Drawn]:
    """Remember that they were drawn, within the caller's transaction; what is to be looked at."""
    drawn = []
    for request_id in ids:
        answers = answers_to(connection, key["task"], request_id)
        if answers is None:  # forgotten since it was chosen
            continue
        this = (table.c.task == key["task"]) & (table.c.request_id == request_id)
        row = key | {"request_id": request_id, "teacher": answers.teacher_name, "audited": True, "amends": False}
        if not insert_absent(connection, table, row | {"created_at": now}):
            connection.execute(update(table).where(this).values(audited=True))
        known = connection.execute(select(table.c.output, table.c.correct).where(this)).one()
        input = connection.execute(_input, key | {"input_hash": answers.input_hash}).scalar_one_or_none()
        drawn.append(Drawn(request_id, input, answers.served.output, known.output, known.correct))
    return drawn


_input = select(examples.c.input).where(
    examples.c.task == bindparam("task"),
    examples.c.schema_version == bindparam("schema_version"),
    examples.c.input_hash == bindparam("input_hash"),
)
