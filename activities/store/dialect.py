"""All that differs between databases: how one is opened, and "insert unless it is there"."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Engine, Table, create_engine, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from activities.store.errors import StoreError

WRITES = "apprentice_writes"

# FULL: a commit is on the disk before anyone is told, so even a power failure cannot make us forget a paid call.
# With NORMAL a killed process loses nothing either, but a power failure may take the last commits: a call would be paid
# again. Measured with group commit: three operations a request at 32 callers 1,920 to 2,320/s (NORMAL), 1,610 to
# 2,030/s (FULL); at one caller p50 1.3 ms against 1.8 to 3.7 ms. Temporal itself takes over 10 ms for a request.
_PRAGMAS = (
    "PRAGMA busy_timeout = 10000",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = OFF",
    "PRAGMA cache_size = -65536",
)


def parse_url(url: str) -> URL:
    """The URL of a store. Raises StoreError for a database that cannot be one; no message repeats a password."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise StoreError("store.url is not a database URL; write it like sqlite:///apprentice.db") from None
    if parsed.get_backend_name() != "sqlite":
        raise StoreError(f"cannot open the store {parsed!s}: only sqlite:///file is supported")
    if parsed.database in (None, "", ":memory:"):
        raise StoreError(f"cannot open the store {parsed!s}: it needs a file, like sqlite:///apprentice.db")
    return parsed.set(drivername="sqlite+pysqlite")


def open_engine(url: URL) -> Engine:
    """An engine whose errors never show parameters: they are people's data."""
    engine = create_engine(url, hide_parameters=True)
    event.listen(engine, "connect", _configure)
    event.listen(engine, "begin", _begin)
    return engine


def _configure(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver's own BEGIN comes too late: `_begin` is ours
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(pragma)
    cursor.close()


def _begin(connection: Connection) -> None:
    # A transaction that reads first and writes later cannot wait for another process's write (SQLITE_BUSY at once);
    # one that says at its beginning that it will write waits its turn.
    writes = connection.get_execution_options().get(WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def insert_absent(connection: Connection, table: Table, values: Mapping[str, Any]) -> bool:
    """Insert a row unless its key is taken. True when it was inserted."""
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    return connection.execute(insert(table).on_conflict_do_nothing(), values).rowcount > 0
