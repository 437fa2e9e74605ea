"""How a database is opened, for each of them. Errors never show parameters: they are people's data."""

from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL

WRITES = "apprentice_writes"
APPLICATION = "apprentice"

# FULL: a commit is on the disk before anyone is told, so even a power failure cannot make us forget a paid call.
# With NORMAL a killed process loses nothing either, but a power failure may take the last commits: a call would be paid
# again. Measured with group commit: three operations a request at 32 callers 1,920 to 2,320/s (NORMAL), 1,610 to
# 2,030/s (FULL); at one caller p50 1.3 ms against 1.8 to 3.7 ms. Temporal itself takes over 10 ms for a request.
# Two connections of 16 MiB of cache each: that is what a worker's memory grows by as the file fills it.
_PRAGMAS = (
    "PRAGMA busy_timeout = 10000",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = OFF",
    "PRAGMA cache_size = -16384",
)

# A server that is gone must be an error in seconds: Temporal asks again. A worker that is frozen in the middle of a
# transaction must not hold up the others for ever.
_CONNECT_SECONDS = 5
_SESSION = "SET lock_timeout = '10s'; SET idle_in_transaction_session_timeout = '60s'"
_KEEPALIVE = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 20_000}


def open_file(url: URL, *, create: bool = False) -> Engine:
    """SQLite. Without `create`, a file that went away is an error: an empty one in its place would be a loss."""
    assert url.database is not None
    if not url.database.startswith("file:"):
        mode = {"uri": "true", "mode": "rwc" if create else "rw"}
        url = url.set(database=f"file:{quote(url.database)}").update_query_dict(mode)
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


def open_server(url: URL, connections: int) -> Engine:
    """PostgreSQL. What the URL's query says about the connection goes before what is said here."""
    ours: dict[str, Any] = {"connect_timeout": _CONNECT_SECONDS, "application_name": APPLICATION, **_KEEPALIVE}
    engine = create_engine(
        url,
        hide_parameters=True,
        isolation_level="READ COMMITTED",
        pool_size=connections,
        max_overflow=0,
        connect_args={key: value for key, value in ours.items() if key not in url.query},
    )
    event.listen(engine, "connect", _configure_session)
    return engine


def _configure_session(connection: Any, _record: object) -> None:
    connection.execute(_SESSION)
    connection.commit()
