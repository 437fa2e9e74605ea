"""All that differs between the SQL of databases: "insert unless it is there"."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite

# By default SQLAlchemy keeps the number of rows of an UPDATE and of a DELETE only.
_COUNTED = {"preserve_rowcount": True}


def insert_absent(connection: Connection, table: Table, values: Mapping[str, Any]) -> bool:
    """Insert a row unless one of its keys is taken. True when it was inserted.

    On PostgreSQL it waits for a transaction that is just inserting the same key: False then means that the other row
    is committed, and the next statement sees it.
    """
    insert = postgresql.insert if is_server(connection) else sqlite.insert
    statement = insert(table).inline().on_conflict_do_nothing()
    return connection.execute(statement, values, execution_options=_COUNTED).rowcount > 0


def insert_numbered(connection: Connection, table: Table, values: Mapping[str, Any]) -> int | None:
    """The same for a table that numbers its rows by `id`: the new row's number, or None."""
    if is_server(connection):
        statement = postgresql.insert(table).on_conflict_do_nothing().returning(table.c.id)
        return connection.execute(statement, values).scalar_one_or_none()
    # Not RETURNING: SQLite has that from 3.35 on.
    done = connection.execute(
        sqlite.insert(table).inline().on_conflict_do_nothing(), values, execution_options=_COUNTED
    )
    return done.lastrowid if done.rowcount > 0 else None


def is_server(connection: Connection) -> bool:
    """True for PostgreSQL."""
    return connection.dialect.name == "postgresql"
