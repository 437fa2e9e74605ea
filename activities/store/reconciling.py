"""Calls whose outcome nobody knew, until somebody looked at the provider's bill."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import BindParameter, Connection, bindparam, select, update

from activities.store.errors import NoSuchCall, OutcomeKnown
from activities.store.records import CallState, Unknown, UnknownCall
from activities.store.tables import calls
from apprentice.messages import Source

NEVER_MADE = "reconciled: it was never made"
NO_ANSWER = "reconciled: it was paid, its answer is lost"

# Written out, not bound: only then does the database see that its partial index applies.
_IN_DOUBT: BindParameter[str] = bindparam("in_doubt", CallState.INTENT.value, literal_execute=True)

_in_doubt = (calls.c.task == bindparam("task")) & (calls.c.state == _IN_DOUBT)
_bounds = select(calls.c.upper_bound).where(_in_doubt)
_each = (
    select(calls.c.request_id, calls.c.provider, calls.c.model, calls.c.upper_bound, calls.c.created_at)
    .where(_in_doubt)
    .order_by(calls.c.created_at, calls.c.request_id)
)
_of_call = (
    select(calls.c.state, calls.c.upper_bound, calls.c.cost, calls.c.error)
    .where(
        calls.c.task == bindparam("task"),
        calls.c.request_id == bindparam("request_id"),
        calls.c.role == Source.REMOTE.value,
    )
    .with_for_update()
)


def total(connection: Connection, task: str) -> Unknown:
    bounds = connection.execute(_bounds, {"task": task}).scalars().all()
    return Unknown(len(bounds), sum(bounds, Decimal(0)))


def each(connection: Connection, task: str) -> list[UnknownCall]:
    return [UnknownCall(*row) for row in connection.execute(_each, {"task": task})]


def reconcile(connection: Connection, task: str, request_id: str, cost: Decimal, now: datetime) -> Decimal:
    row = connection.execute(_of_call, {"task": task, "request_id": request_id}).one_or_none()
    if row is None:
        raise NoSuchCall(task, request_id)
    outcome = _outcome(cost)
    if row.state == CallState.INTENT:
        this = (calls.c.task == task) & (calls.c.request_id == request_id) & (calls.c.role == Source.REMOTE.value)
        connection.execute(update(calls).where(this).values(outcome | {"settled_at": now}))
    elif any(getattr(row, name) != value for name, value in outcome.items()):
        raise OutcomeKnown(task, request_id, row.state)
    bound: Decimal = row.upper_bound
    return bound


def _outcome(cost: Decimal) -> dict[str, Any]:
    if cost:
        return {"state": CallState.REJECTED.value, "cost": cost, "error": NO_ANSWER}
    return {"state": CallState.FAILED.value, "cost": None, "error": NEVER_MADE}
