"""What the journal does within one transaction: plain functions of a SQLAlchemy connection.

Each looks before it writes, and refuses (StoreError, LookupError) before it wrote anything. On a server others write
between the look and the write: what is written says what it expects to find, and where that is not so, looks again.
"""

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select, update

from activities.store import copies, examples
from activities.store.dialect import insert_absent
from activities.store.errors import RequestIdReused, StoreError
from activities.store.records import CallState, Intent, Served, Settled, Standing
from activities.store.tables import calls
from apprentice.messages import Answer, Source, Split

# Another process can be faster between a look and a write. Twice in a row takes a call that was made and failed.
LOOKS = 10

_OUTCOME = ("admission", "state", "answer", "cost", "error", "example", "served", "settled_at", "rejected_text")
_TERMS = (
    *("input_hash", "admission", "provider", "model", "idempotency_key", "upper_bound", "schema_version"),
    *("reason", "propensity"),
)

_of_request = select(calls).where(calls.c.task == bindparam("task"), calls.c.request_id == bindparam("request_id"))
_settled = (
    update(calls)
    .where(
        calls.c.task == bindparam("of_task"),
        calls.c.request_id == bindparam("of_request"),
        calls.c.role == Source.REMOTE.value,
        calls.c.state.in_(bindparam("from_states", expanding=True)),
    )
    .values({name: bindparam(name) for name in _OUTCOME})
)
_again = (
    update(calls)
    .where(
        calls.c.task == bindparam("of_task"),
        calls.c.request_id == bindparam("of_request"),
        calls.c.role == Source.REMOTE.value,
        calls.c.state == CallState.FAILED.value,
    )
    .values({name: bindparam(name) for name in ("state", "error", "created_at", *_TERMS)})
)


_locked = _of_request.with_for_update()


def rows_of(
    connection: Connection, task: str, request_id: str, input_hash: str | None = None, *, lock: bool = False
) -> list[Row[Any]]:
    """Both calls of a request, for this transaction alone to change with `lock`.

    Raises RequestIdReused if they were about another input than `input_hash`.
    """
    query = _locked if lock else _of_request
    rows = list(connection.execute(query, {"task": task, "request_id": request_id}))
    if input_hash is not None and any(row.input_hash != input_hash for row in rows):
        raise RequestIdReused(task, request_id)
    return rows


def served(rows: list[Row[Any]]) -> Served | None:
    """The answer that the request got, of its rows."""
    row = next((row for row in rows if row.served), None)
    if row is None:
        return None
    example = None if row.example is None else Split(row.example)
    return Served(Answer.model_validate_json(row.answer), row.degraded, row.input_hash, row.admission, example)


def _remote(rows: list[Row[Any]]) -> Row[Any] | None:
    return next((row for row in rows if row.role == Source.REMOTE.value), None)


def intend(connection: Connection, intent: Intent, now: datetime) -> Standing:
    for _ in range(LOOKS):
        standing = _intend(connection, intent, now)
        if standing is not None:
            return standing
    raise StoreError(f"request id {intent.request_id!r} of task {intent.task!r} changes too fast; ask again")


def _intend(connection: Connection, intent: Intent, now: datetime) -> Standing | None:
    """None when another process was faster."""
    rows = rows_of(connection, intent.task, intent.request_id, intent.input_hash)
    row, holds = _remote(rows), served(rows)
    if holds is not None:
        # A local answer may have been served while the call of the same admission was under way: its price is news.
        charged = Decimal(0) if row is None or row.served else _charged(row, intent)
        return Standing(None if row is None else CallState(row.state), holds, charged=charged)
    if row is not None and row.state != CallState.FAILED:
        return Standing(CallState(row.state), error=row.error, charged=_charged(row, intent), key=row.idempotency_key)
    answer = copies.find(connection, intent)
    if answer is not None:
        return copies.give(connection, intent, answer, now, again=row is not None)
    return Standing(None) if _write_intent(connection, intent, now, again=row is not None) else None


def is_to_be_made(connection: Connection, intent: Intent) -> bool:
    rows = rows_of(connection, intent.task, intent.request_id, intent.input_hash)
    row = _remote(rows)
    if served(rows) is not None or (row is not None and row.state != CallState.FAILED):
        return False
    return intent.copy_of is None and copies.find(connection, intent) is None


def _charged(row: Row[Any], intent: Intent) -> Decimal:
    """The most that the call may have cost within this admission."""
    if row.admission != intent.admission:
        return Decimal(0)
    charged: Decimal | None = row.upper_bound if row.state == CallState.INTENT else row.cost
    return charged or Decimal(0)


def _write_intent(connection: Connection, intent: Intent, now: datetime, *, again: bool) -> bool:
    values = intent_row(intent, now)
    if not again:
        return insert_absent(connection, calls, values)
    changed = {name: values[name] for name in ("state", "created_at", *_TERMS)} | {"error": None}
    key = {"of_task": intent.task, "of_request": intent.request_id}
    return connection.execute(_again, key | changed).rowcount > 0


def intend_beside(connection: Connection, intents: list[Intent], now: datetime) -> list[Standing]:
    return [_beside(connection, intent, now) for intent in intents]


def _beside(connection: Connection, intent: Intent, now: datetime) -> Standing:
    row = _remote(rows_of(connection, intent.task, intent.request_id))
    if row is None or row.state == CallState.FAILED:
        if _write_intent(connection, intent, now, again=row is not None):
            return Standing(None)
        row = _remote(rows_of(connection, intent.task, intent.request_id))
    if row is None or row.input_hash != intent.input_hash:
        return Standing(None, error="the request id stands for another input")
    ours = row.admission == intent.admission
    return Standing(CallState(row.state), error=None if ours else "it was asked before", charged=_charged(row, intent))


def is_in_doubt(connection: Connection, intent: Intent) -> bool:
    row = _remote(rows_of(connection, intent.task, intent.request_id))
    return row is not None and row.state == CallState.INTENT and row.admission == intent.admission


def answered(
    connection: Connection, intent: Intent, answer: Answer, example: examples.Example | None, now: datetime
) -> Settled:
    # Two workers can have the same call answered, one of them given up for dead too early: the second sees the first's.
    rows = rows_of(connection, intent.task, intent.request_id, intent.input_hash, lock=True)
    first = _remote(rows)
    if first is not None and first.answer is not None:
        made = first.admission == intent.admission and first.example is not None
        return Settled(Answer.model_validate_json(first.answer), Split(first.example) if made else None)
    if first is None or first.state == CallState.REJECTED:
        raise LookupError(f"an answer without an intent: request id {intent.request_id!r} of task {intent.task!r}")
    split = None if example is None else examples.add(connection, example)
    settle(
        connection,
        intent,
        CallState.ANSWERED,
        now,
        answer=answer.model_dump_json(),
        cost=answer.cost,
        example=split,
        served=served(rows) is None,
    )
    return Settled(answer, split)


def settle(
    connection: Connection,
    intent: Intent,
    state: CallState,
    now: datetime,
    *,
    answer: str | None = None,
    cost: Decimal | None = None,
    error: str | None = None,
    text: str | None = None,
    example: Split | None = None,
    served: bool = False,
) -> None:
    values = {
        "state": state.value,
        "answer": answer,
        "cost": cost,
        "error": _storable(error),
        "rejected_text": _storable(text),
        "served": served,
        "settled_at": now,
    }
    values |= {"admission": intent.admission, "example": None if example is None else example.value}
    # An attempt that was given up may still be answered, after a later one has failed: then it was paid after all.
    states = [CallState.INTENT] if state is CallState.FAILED else [CallState.INTENT, CallState.FAILED]
    key = {"of_task": intent.task, "of_request": intent.request_id, "from_states": [each.value for each in states]}
    connection.execute(_settled, key | values)


def _storable(error: str | None) -> str | None:
    """An error may quote what a provider sent: halves of characters, and NUL, which PostgreSQL does not take."""
    return (
        None if error is None else error.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
    )


def serve_locally(connection: Connection, row: dict[str, Any], answer: Answer) -> Served:
    for _ in range(LOOKS):
        before = served(rows_of(connection, row["task"], row["request_id"], row["input_hash"]))
        if before is not None:
            return before
        if insert_absent(connection, calls, row):
            return Served(answer, row["degraded"], row["input_hash"], row["admission"])
    raise StoreError(f"request id {row['request_id']!r} of task {row['task']!r} changes too fast; ask again")


def intent_row(intent: Intent, now: datetime) -> dict[str, Any]:
    return {
        "task": intent.task,
        "request_id": intent.request_id,
        "role": Source.REMOTE.value,
        "state": CallState.INTENT.value,
        "served": False,
        "degraded": False,
        "created_at": now,
    } | {name: getattr(intent, name) for name in _TERMS}


def local_row(
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
) -> dict[str, Any]:
    return {
        "task": task,
        "request_id": request_id,
        "role": Source.LOCAL.value,
        "input_hash": input_hash,
        "admission": admission,
        "state": CallState.ANSWERED.value,
        "model": answer.model,
        "answer": answer.model_dump_json(),
        "cost": answer.cost,
        "served": True,
        "degraded": degraded,
        "created_at": now,
        "settled_at": now,
        "reason": reason,
        "propensity": propensity,
    }
