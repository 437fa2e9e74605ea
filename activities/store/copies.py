"""One paid answer for several requests: another request with the same input is given it, at no cost.

The copy is a row of its own, so the request has this answer for ever, whatever becomes of the first. It makes no
example: the first one did.
"""

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Row, bindparam, literal_column, select, update

from activities.store.dialect import insert_absent
from activities.store.records import CallState, Intent, Served, Standing
from activities.store.tables import calls
from apprentice.messages import Answer, Source

_columns = [calls.c[name] for name in ("request_id", "provider", "model", "answer", "copy_of", "schema_version")]
# Written out, not bound: only then does the database see that its partial index applies.
_answered = (calls.c.role == literal_column("'remote'")) & (calls.c.state == literal_column("'answered'"))
_of_leader = select(*_columns).where(
    calls.c.task == bindparam("task"),
    calls.c.request_id == bindparam("copy_of"),
    calls.c.input_hash == bindparam("input_hash"),
    _answered,
)
_newest = (
    select(*_columns)
    .where(
        calls.c.task == bindparam("task"),
        calls.c.input_hash == bindparam("input_hash"),
        calls.c.schema_version == bindparam("schema_version"),
        calls.c.settled_at >= bindparam("cached_since"),
        calls.c.copy_of.is_(None),
        _answered,
    )
    .order_by(calls.c.settled_at.desc())
    .limit(1)
)


def find(connection: Connection, intent: Intent) -> Row[Any] | None:
    """The call whose answer the intent may have; None without one, at no cost if the intent asks for none."""
    if intent.copy_of is not None:
        key = {"task": intent.task, "copy_of": intent.copy_of, "input_hash": intent.input_hash}
        leader = connection.execute(_of_leader, key).one_or_none()
        if leader is not None and leader.schema_version == intent.schema_version:
            return leader
    if intent.cached_since is None or intent.schema_version is None:
        return None
    names = ("task", "input_hash", "schema_version", "cached_since")
    return connection.execute(_newest, {name: getattr(intent, name) for name in names}).one_or_none()


def give(connection: Connection, intent: Intent, source: Row[Any], now: datetime, *, again: bool) -> Standing | None:
    """Write the request's row; `again`: in place of its failed call. None when another process was faster."""
    free = {"cost": Decimal(0), "input_tokens": 0, "output_tokens": 0, "latency_seconds": 0.0}
    answer = Answer.model_validate_json(source.answer).model_copy(update=free)
    row = _row(intent, source, answer, now)
    if not (_replace(connection, row) if again else insert_absent(connection, calls, row)):
        return None
    return Standing(CallState.ANSWERED, copied=Served(answer, False, intent.input_hash, intent.admission))


def _replace(connection: Connection, row: dict[str, Any]) -> bool:
    failed = update(calls).where(
        calls.c.task == row["task"],
        calls.c.request_id == row["request_id"],
        calls.c.role == row["role"],
        calls.c.state == CallState.FAILED.value,
    )
    return connection.execute(failed.values(row | {"error": None})).rowcount > 0


def _row(intent: Intent, source: Row[Any], answer: Answer, now: datetime) -> dict[str, Any]:
    return {
        "task": intent.task,
        "request_id": intent.request_id,
        "role": Source.REMOTE.value,
        "input_hash": intent.input_hash,
        "admission": intent.admission,
        "state": CallState.ANSWERED.value,
        "provider": source.provider,
        "model": source.model,
        "upper_bound": Decimal(0),
        "answer": answer.model_dump_json(),
        "cost": Decimal(0),
        "served": True,
        "degraded": False,
        "created_at": now,
        "settled_at": now,
        "schema_version": intent.schema_version,
        "copy_of": source.copy_of or source.request_id,
        "reason": intent.reason,
        "propensity": intent.propensity,
    }
