"""Moves a store into another database: everything or nothing, and nothing of it is lost on the way.

The whole copy is one transaction of the target, so a kill in the middle leaves the target empty and the source as it
was: do it again.
"""

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, Connection, Table, bindparam, func, insert, literal_column, select, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError

from activities.store import tables
from activities.store.dialect import is_server
from activities.store.engines import APPLICATION, WRITES, open_file, open_server
from activities.store.errors import StoreError, reason
from activities.store.migrating import upgrade
from activities.store.urls import is_file, shown

TABLES = [table for table in tables.metadata.sorted_tables if table is not tables.schema]
BATCH = 1000
# The server notices only after a moment that a process which was killed is gone.
LEAVING_SECONDS = 2.0

Progress = Callable[[str, int, int], None]
"""Name of the table, rows that are copied, rows that there are."""


@dataclass(frozen=True)
class Moved:
    """Rows of each table, and the money in the journal: settled, and the upper bounds of calls in doubt."""

    rows: dict[str, int]
    settled: Decimal
    unknown: Decimal


@dataclass
class _Sum:
    """What must be the same on both sides. The order of rows does not count: databases sort text differently."""

    rows: int = 0
    content: int = 0
    settled: Decimal = Decimal(0)
    unknown: Decimal = Decimal(0)

    def add(self, row: dict[str, Any]) -> None:
        self.rows += 1
        digest = hashlib.blake2b(repr(sorted(row.items())).encode("utf-8", "surrogatepass"), digest_size=16).digest()
        self.content = (self.content + int.from_bytes(digest)) % 2**128
        if row.get("state") == "intent":
            self.unknown += row["upper_bound"]
        self.settled += row.get("cost") or Decimal(0)


def copy_store(source: URL, target: URL, progress: Progress = lambda table, done, total: None) -> Moved:
    """Copy all tables into an empty store, which is made. Blocks: for a command, not for a worker.

    Raises StoreError: a store cannot be used, the target is not empty, workers are using either of them.
    """
    if _place(source) == _place(target):
        raise StoreError("the store is there already: --to names the store that the configuration uses")
    try:
        with ExitStack() as stack:
            reading = stack.enter_context(_alone(source, "the store", create=False))
            writing = stack.enter_context(_alone(target, "the target", create=True))
            _require_empty(writing, target)
            sums = {table.name: _copy(reading, writing, table, progress) for table in TABLES}
            _continue_numbers(reading, writing)
            _verify(writing, sums)
    except SQLAlchemyError as error:
        raise StoreError(f"the store could not be copied, nothing was changed: {reason(error)}") from None
    calls = sums[tables.calls.name]
    return Moved({name: each.rows for name, each in sums.items()}, calls.settled, calls.unknown)


def _place(url: URL) -> tuple[object, ...]:
    return (url.get_backend_name(), url.host, url.port, url.database)


# --- being alone with a database -------------------------------------------------------------------------------


@contextmanager
def _alone(url: URL, name: str, *, create: bool) -> Iterator[Connection]:
    """A transaction with the tables in their newest form, while no worker uses the database.

    The target's ends with a commit, unless something is raised; in the source nothing is written but an upgrade.
    """
    with ExitStack() as stack:
        try:
            connection = _enter(stack, url, create)
        except (SQLAlchemyError, StoreError) as error:
            why = reason(error) if isinstance(error, SQLAlchemyError) else str(error)
            raise StoreError(f"cannot use {name} {shown(url)}: {why}") from None
        yield connection


def _enter(stack: ExitStack, url: URL, create: bool) -> Connection:
    engine = open_file(url, create=create) if is_file(url) else open_server(url, 1)
    stack.callback(engine.dispose)
    connection = stack.enter_context(engine.connect().execution_options(**{WRITES: True}))
    (_lock_file if is_file(url) else _refuse_others)(connection)
    with connection.begin():
        upgrade(connection)
    stack.enter_context(connection.begin())
    if is_server(connection):
        # Against a worker that starts now: it can open the store and read, and waits with its first write.
        connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))  # each side waits for the other
        names = ", ".join(table.name for table in TABLES)
        connection.execute(text(f"LOCK TABLE {names} IN EXCLUSIVE MODE"))
    return connection


def _lock_file(connection: Connection) -> None:
    """In this mode SQLite keeps all others out, and cannot begin while one of them has the file open."""
    file = connection.connection.dbapi_connection
    assert file is not None
    file.execute("PRAGMA busy_timeout = 0")
    try:
        file.execute("PRAGMA locking_mode = EXCLUSIVE")
        file.execute("BEGIN EXCLUSIVE")
        file.execute("COMMIT")
    except Exception as error:
        if "locked" in str(error):
            raise StoreError("another process has it open; stop all workers first") from None
        raise


def _refuse_others(connection: Connection) -> None:
    others = text(
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE datname = current_database() AND application_name = :ours AND pid <> pg_backend_pid()"
    )
    give_up = time.monotonic() + LEAVING_SECONDS
    while True:
        with connection.begin():
            count = connection.execute(others, {"ours": APPLICATION}).scalar_one()
        if not count:
            return
        if time.monotonic() > give_up:
            raise StoreError(f"workers have {count} connections to it; stop all workers first")
        time.sleep(0.1)


# --- copying ---------------------------------------------------------------------------------------------------


def _require_empty(connection: Connection, url: URL) -> None:
    for table in TABLES:
        if connection.execute(select(literal_column("1")).select_from(table).limit(1)).first() is not None:
            raise StoreError(f"the target {shown(url)} is not empty: its table {table.name} has rows; choose another")


def _copy(reading: Connection, writing: Connection, table: Table, progress: Progress) -> _Sum:
    total = reading.execute(select(func.count()).select_from(table)).scalar_one()
    copied = _Sum()
    progress(table.name, 0, total)
    statement = insert(table).inline()
    for rows in _batches(reading, table):
        for row in rows:
            copied.add(row)
        writing.execute(statement, rows)
        progress(table.name, copied.rows, total)
    return copied


def _batches(connection: Connection, table: Table) -> Iterator[list[dict[str, Any]]]:
    query = select(table).order_by(*table.primary_key.columns).execution_options(yield_per=BATCH)
    for part in connection.execute(query).mappings().partitions(BATCH):
        yield [dict(row) for row in part]


def _verify(writing: Connection, sums: dict[str, _Sum]) -> None:
    for table in TABLES:
        found = _Sum()
        for rows in _batches(writing, table):
            for row in rows:
                found.add(row)
        if found != sums[table.name]:
            raise StoreError(f"table {table.name} did not arrive as it was sent; nothing was changed")


# --- numbers of examples ---------------------------------------------------------------------------------------


def _continue_numbers(reading: Connection, writing: Connection) -> None:
    """No number of an example is ever given out twice, also not that of an erased one."""
    newest = max(_newest_number(reading), _newest_number(writing))
    if not newest:
        return
    if is_server(writing):
        number = bindparam("newest", newest, BigInteger)
        writing.execute(select(func.setval(func.pg_get_serial_sequence("examples", "id"), number)))
        return
    writing.execute(text("DELETE FROM sqlite_sequence WHERE name = 'examples'"))
    writing.execute(text("INSERT INTO sqlite_sequence VALUES ('examples', :newest)"), {"newest": newest})


def _newest_number(connection: Connection) -> int:
    if is_server(connection):
        given = text("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM examples_id_seq")
    else:
        given = text("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'examples'")
    counted = connection.execute(select(func.coalesce(func.max(tables.datasets.c.last_id), 0))).scalar_one()
    return max(int(connection.execute(given).scalar_one()), int(counted))
