"""Retention: what is older than wanted is deleted, a little at a time, so that no request waits for it."""

from datetime import datetime

from sqlalchemy import Connection, Delete, Table, delete, select, tuple_

from activities.store.records import CallState
from activities.store.tables import batch_items, calls, comparisons, feedback, opinions

_DONE = [CallState.ANSWERED.value, CallState.FAILED.value, CallState.REJECTED.value]


def old_calls(connection: Connection, before: datetime, batch: int) -> int:
    """Never one in doubt: that is money nobody has accounted for."""
    old = (calls.c.created_at < before) & (calls.c.settled_at < before) & calls.c.state.in_(_DONE)
    return _delete(connection, calls, old, batch)


def old_comparisons(connection: Connection, before: datetime, batch: int) -> int:
    return _delete(connection, comparisons, comparisons.c.created_at < before, batch)


def old_questions(connection: Connection, before: datetime, batch: int) -> int:
    """Of batches whose task went away before it heard of them; their calls are in the journal."""
    return _delete(connection, batch_items, batch_items.c.created_at < before, batch)


def old_opinions(connection: Connection, before: datetime, batch: int) -> int:
    return _delete(connection, opinions, opinions.c.created_at < before, batch)


def old_feedback(connection: Connection, before: datetime, batch: int) -> int:
    """What it amended stays, as examples do."""
    return _delete(connection, feedback, feedback.c.created_at < before, batch)


def _delete(connection: Connection, table: Table, old: object, batch: int) -> int:
    key = table.primary_key.columns
    oldest = select(*key).where(old).order_by(table.c.created_at).limit(batch)  # type: ignore[arg-type]
    statement: Delete = delete(table).where(tuple_(*key).in_(oldest))
    return connection.execute(statement).rowcount
