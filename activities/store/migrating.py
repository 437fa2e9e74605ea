"""Makes a store's tables, or brings those of an older program up to date, when it is opened.

The table `schema` holds the number of the tables' form, as it has since 0.1.0: a program refuses a store that is newer
than itself. Alembic keeps the name of its newest step beside it.
"""

import threading
from pathlib import Path

from sqlalchemy import Connection, inspect, select, text

from activities.store import tables
from activities.store.dialect import is_server
from activities.store.errors import StoreError

_FOLDER = Path(__file__).parent / "migrations"
# Stores that start together wait for each other here: one makes the tables, the others find them.
_LOCK = "SELECT pg_advisory_xact_lock(7233001)"
# Alembic's `op` and `context` are of the whole process.
_one_at_a_time = threading.Lock()


def upgrade(connection: Connection) -> None:
    """Within a transaction that may write (on SQLite: BEGIN IMMEDIATE, the lock). Raises StoreError for a newer store.

    All steps are one transaction: a kill in the middle leaves the store as it was.
    """
    if is_server(connection):
        connection.execute(text(_LOCK))
    found = version(connection)
    if found == tables.SCHEMA:
        return
    if found is not None and found > tables.SCHEMA:
        raise StoreError(
            f"it has schema {found}, this program knows schemas up to {tables.SCHEMA}: it was made by a newer "
            "apprentice; use that one or a newer"
        )
    # Alembic takes 150 ms to import: only who needs it pays.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    with _one_at_a_time:
        if found == 1:
            command.stamp(config, "1")
        command.upgrade(config, "head")


def version(connection: Connection) -> int | None:
    """The number of the tables' form; None for an empty database."""
    if not inspect(connection).has_table(tables.schema.name):
        return None
    return connection.execute(select(tables.schema.c.version)).scalar()
