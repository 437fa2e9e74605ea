"""What every database of the store can do, whichever it is.

What is given to it is a plain function of a SQLAlchemy `Connection`: it runs on a thread, in one transaction, and may
run again if that transaction had to be given up.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from sqlalchemy import Connection
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError

from activities.store.errors import StoreError, reason
from activities.store.file_database import FileDatabase
from activities.store.server_database import ServerDatabase
from activities.store.urls import is_file, shown


class Database(Protocol):
    """Runs functions in transactions. A caller has its result only after the commit."""

    async def write[T](self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a transaction that may write. Raises what `work` raises, or StoreError."""
        ...

    async def read[T](self, work: Callable[[Connection], T]) -> T:
        """Run a short lookup, best of one statement. Raises what `work` raises, or StoreError."""
        ...

    async def read_bulk[T](self, work: Callable[[Connection], T]) -> T:
        """Run a long read beside the requests, from one state of the database. Raises as `read` does."""
        ...

    async def close(self) -> None:
        """Finish what was asked, then close. Nothing can be asked afterwards. Closing again does nothing."""
        ...


async def open_database(url: URL) -> Database:
    """Open the database, and make or upgrade its tables. Raises StoreError, naming the URL without its password."""
    database: FileDatabase | ServerDatabase | None = None
    try:
        database = FileDatabase(url) if is_file(url) else ServerDatabase(url)
        await asyncio.to_thread(database.prepare)
    except (SQLAlchemyError, StoreError) as error:
        if database is not None:
            await database.close()
        why = reason(error) if isinstance(error, SQLAlchemyError) else str(error)
        raise StoreError(f"cannot open the store {shown(url)}: {why}") from None
    return database
