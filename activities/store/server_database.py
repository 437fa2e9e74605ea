"""A PostgreSQL server: a few threads, a connection for each, every operation a transaction of its own.

Measured on 2 cores against PostgreSQL 15 on the same machine, an intent and an answer with its example a request:
asyncpg through SQLAlchemy's greenlets 157 requests/s at 8 callers and 116 at 32, 2.4 to 2.6 ms of CPU each; psycopg on
threads 228 and 217 requests/s, 1.8 ms. Threads also keep long reads off the event loop. Sharing transactions as the
SQLite side does saved CPU (1.3 ms) and no time, and two workers that share them deadlock on the data sets' counters.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import Connection, Engine
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from activities.store.engines import open_server
from activities.store.errors import StoreError, reason
from activities.store.migrating import upgrade

THREADS = 8
ATTEMPTS = 5
# Somebody else was faster, or we stood in each other's way: look again. (unique violation, serialization failure,
# deadlock)
_AGAIN = {"23505", "40001", "40P01"}


class ServerDatabase:
    """Many processes may use one server: what they do at the same time is settled by its locks and unique keys."""

    def __init__(self, url: URL) -> None:
        self._engine = open_server(url, THREADS + 1)
        # One statement needs no BEGIN and no COMMIT: a third of the round trips.
        self._plain = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        self._bulk = self._engine.execution_options(isolation_level="REPEATABLE READ")
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="store")
        self._bulk_thread = ThreadPoolExecutor(1, thread_name_prefix="store-bulk")
        self._closed = False

    def prepare(self) -> None:
        """Make or upgrade the tables. Raises StoreError, SQLAlchemyError."""
        _transaction(self._engine, upgrade)

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        await asyncio.to_thread(self._shut_down)

    async def write[T](self, work: Callable[[Connection], T]) -> T:
        return await self._run(self._threads, self._engine, work)

    async def read[T](self, work: Callable[[Connection], T]) -> T:
        return await self._run(self._threads, self._plain, work)

    async def read_bulk[T](self, work: Callable[[Connection], T]) -> T:
        return await self._run(self._bulk_thread, self._bulk, work)

    async def _run[T](self, threads: ThreadPoolExecutor, engine: Engine, work: Callable[[Connection], T]) -> T:
        if self._closed:
            raise StoreError("the store is closed")
        try:
            return await asyncio.get_running_loop().run_in_executor(threads, _transaction, engine, work)
        except SQLAlchemyError as error:
            raise StoreError(f"the store failed: {reason(error)}") from None

    def _shut_down(self) -> None:
        self._threads.shutdown()
        self._bulk_thread.shutdown()
        self._engine.dispose()


def _transaction[T](engine: Engine, work: Callable[[Connection], T]) -> T:
    for attempt in range(1, ATTEMPTS + 1):
        done = False
        try:
            with engine.begin() as connection:
                result = work(connection)
                done = True
            return result
        except DBAPIError as error:
            # A commit that broke off may have happened: the caller must find out, we must not do it again.
            if done or attempt == ATTEMPTS or not _worth_another(error):
                raise
    raise AssertionError("unreachable")


def _worth_another(error: DBAPIError) -> bool:
    """A connection of the pool that a restart of the server has cut is found out by its first use."""
    return error.connection_invalidated or getattr(error.orig, "sqlstate", None) in _AGAIN
