"""What a store remembers of a task's requests, for those who ask what another policy would have done.

It is read as it is, in one transaction, beside workers or without: nothing is written, nothing is upgraded.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Row, func, inspect, null, select
from sqlalchemy.exc import SQLAlchemyError

from activities.store.engines import open_file, open_server
from activities.store.errors import StoreError, reason
from activities.store.inspecting import schema_of
from activities.store.records import CallState
from activities.store.tables import calls, comparisons, examples, versions
from activities.store.urls import is_file, parse_url, shown
from apprentice.messages import RouteReason, Source, VersionStatus
from apprentice.opinions import is_own
from apprentice.whatif.log import Log, Logged

_REMOTE = ("request_id", "created_at", "cost", "example", "served", "schema_version", "copy_of", "reason")
_LOCAL = ("request_id", "created_at", "answer", "served", "degraded", "reason", "propensity")
# By name: a store of an earlier release lacks the columns that came later.
_COMPARED = [comparisons.c[name] for name in ("request_id", "version", "score", "propensity", "confidence")]


@dataclass(frozen=True)
class Memory:
    """The requests of the newest schema, in the order they came; `input` is the newest example's."""

    log: Log
    input: dict[str, Any]


def remembered(url: str, task: str) -> Memory:
    """All that is there of the task. Blocks. Raises StoreError for a store that is missing or cannot be read."""
    place = parse_url(url)
    if schema_of(url) is None:
        raise StoreError(f"there is no store {shown(place)} yet: a worker makes it")
    engine: Engine = open_file(place) if is_file(place) else open_server(place, 1)
    try:
        with engine.connect() as connection, connection.begin():
            return _read(connection, task)
    except SQLAlchemyError as error:
        raise StoreError(f"the store {shown(place)} cannot be read: {reason(error)}") from None
    finally:
        engine.dispose()


def _read(connection: Connection, task: str) -> Memory:
    remote = {row.request_id: row for row in _calls(connection, task, Source.REMOTE, _REMOTE)}
    local = {row.request_id: row for row in _calls(connection, task, Source.LOCAL, _LOCAL)}
    of_task = select(*_COMPARED).where(comparisons.c.task == task)
    compared = {row.request_id: row for row in connection.execute(of_task)}
    current, since = _newest_schema(remote.values())
    noted = min((row.created_at for row in (*remote.values(), *local.values()) if row.reason is not None), default=None)
    requests = []
    for request_id in {**remote, **local}:
        rows = remote.get(request_id), local.get(request_id), compared.get(request_id)
        one = None if is_own(request_id) else _request(*rows, noted)
        if one is not None and (since is None or one.at > since):
            requests.append(one)
    requests.sort(key=lambda one: one.at)
    before = _examples_before(connection, task, current, requests[0].at) if requests else 0
    newest = select(examples.c.input).where(examples.c.task == task).order_by(examples.c.id.desc()).limit(1)
    log = Log(requests, examples=before, holdouts=_holdouts(connection, task))
    return Memory(log, connection.execute(newest).scalar() or {})


def _calls(connection: Connection, task: str, role: Source, names: Iterable[str]) -> list[Row[Any]]:
    """Answered ones. What a store of an earlier release has no column for is None."""
    there = {column["name"] for column in inspect(connection).get_columns(calls.name)}
    columns = [calls.c[name] if name in there else null().label(name) for name in names]
    of_role = (calls.c.task == task) & (calls.c.role == role.value) & (calls.c.state == CallState.ANSWERED.value)
    return list(connection.execute(select(*columns).where(of_role).order_by(calls.c.created_at)))


def _newest_schema(remote: Iterable[Row[Any]]) -> tuple[int, datetime | None]:
    """Its number, and when the last request of an older one came."""
    rows = [row for row in remote if row.schema_version is not None]
    current = max((row.schema_version for row in rows), default=1)
    return current, max((row.created_at for row in rows if row.schema_version < current), default=None)


def _request(
    remote: Row[Any] | None, local: Row[Any] | None, compared: Row[Any] | None, noted: datetime | None
) -> Logged | None:
    """One request; None for a call that no request waited for."""
    if local is not None and local.served:
        answer = json.loads(local.answer)
        found = Logged(
            at=local.created_at,
            local=True,
            chance=_chance(local),
            confidence=answer.get("confidence"),
            version=answer.get("version"),
        )
    elif remote is not None and remote.served:
        # Once reasons are noted, a call without one was for training alone.
        if compared is None and remote.reason is None and noted is not None and remote.created_at >= noted:
            return None
        found = Logged(at=remote.created_at, local=False, chance=1.0, copied=remote.copy_of is not None)
    else:
        return None
    if remote is not None:
        found = replace(found, cost=remote.cost, example=remote.example is not None)
    if compared is None:
        return found
    evidence = {"score": compared.score, "chance": compared.propensity, "confidence": compared.confidence}
    return replace(found, **evidence, version=compared.version or None)


def _chance(local: Row[Any]) -> float | None:
    """Of a comparison, as it was when the local model served."""
    if local.degraded or local.reason == RouteReason.BUDGET:
        return 0.0  # it was to be compared, or to be asked elsewhere, and there was no money, or no answer
    chance: float | None = local.propensity
    return chance


def _examples_before(connection: Connection, task: str, schema_version: int, at: datetime) -> int:
    older = (examples.c.task == task) & (examples.c.schema_version == schema_version) & (examples.c.created_at < at)
    return connection.execute(select(func.count()).select_from(examples).where(older)).scalar() or 0


def _holdouts(connection: Connection, task: str) -> dict[int, tuple[int, float]]:
    rows = connection.execute(select(versions.c.status).where(versions.c.task == task)).scalars()
    found = [VersionStatus.model_validate_json(row) for row in rows]
    return {one.version: (one.holdout, one.holdout_mean) for one in found if one.holdout_mean is not None}
