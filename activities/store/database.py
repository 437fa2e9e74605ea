"""One database file, one thread that writes, one that reads in bulk.

Measured on 2 cores (SQLAlchemy 2.1, SQLite 3.40), one caller: an insert and its commit take 673 us of CPU through
aiosqlite, 148 us on a thread of our own; a lookup 430 to 690 us against 75 to 155 us; a lookup and an insert that
share a transaction with others 30 us. The async driver hops between threads for every cursor call, we hop once for a
whole transaction. What is given to `read` and `write` is a plain function of a SQLAlchemy `Connection`, so the same
functions run on an async driver (asyncpg) through `AsyncConnection.run_sync`.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Self

from sqlalchemy import Connection, Engine, select
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError

from activities.store import tables
from activities.store.dialect import WRITES, insert_absent, open_engine
from activities.store.errors import StoreError

# The longest a single caller can be made to wait by the others in its transaction: about 10 ms.
LARGEST_GROUP = 256


@dataclass(frozen=True, slots=True)
class _Job:
    work: Callable[[Connection], Any]
    writes: bool
    done: asyncio.Future[Any]


class Database:
    """Runs functions in transactions; callers that wait at the same time share one (group commit).

    A caller has its result only after the commit. A function that raises leaves the others as they were.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store")
        self._bulk_thread = ThreadPoolExecutor(1, thread_name_prefix="store-bulk")
        self._connection: Connection | None = None
        self._waiting: list[_Job] = []
        self._worker: asyncio.Task[None] | None = None
        self._closed = False

    @classmethod
    async def open(cls, url: URL) -> Self:
        """Open the database and create the tables that are missing. Raises StoreError."""
        database = cls(open_engine(url))
        try:
            await asyncio.get_running_loop().run_in_executor(database._thread, database._prepare)
        except SQLAlchemyError as error:
            await database.close()
            raise StoreError(f"cannot open the store {url!s}: {_reason(error)}") from None
        except StoreError as error:
            await database.close()
            raise StoreError(f"cannot open the store {url!s}: {error}") from None
        return database

    async def close(self) -> None:
        """Finish what was asked, then close. Nothing can be asked afterwards. Closing again does nothing."""
        if self._closed:
            return
        self._closed = True
        if self._worker is not None:
            await self._worker
        await asyncio.to_thread(self._bulk_thread.shutdown)
        await asyncio.get_running_loop().run_in_executor(self._thread, self._release)
        self._thread.shutdown()

    async def write[T](self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a transaction that may write, perhaps shared. Raises what `work` raises, or StoreError."""
        return await self._submit(work, writes=True)

    async def read[T](self, work: Callable[[Connection], T]) -> T:
        """Run a short lookup. Raises what `work` raises, or StoreError."""
        return await self._submit(work, writes=False)

    async def read_bulk[T](self, work: Callable[[Connection], T]) -> T:
        """Run a long read beside the requests, on a thread and connection of its own."""
        self._check_open()

        def run() -> T:
            with self._engine.begin() as connection:
                return work(connection)

        try:
            return await asyncio.get_running_loop().run_in_executor(self._bulk_thread, run)
        except SQLAlchemyError as error:
            raise StoreError(f"the store cannot be read: {_reason(error)}") from None

    async def _submit[T](self, work: Callable[[Connection], T], *, writes: bool) -> T:
        self._check_open()
        loop = asyncio.get_running_loop()
        job = _Job(work, writes, loop.create_future())
        self._waiting.append(job)
        if self._worker is None:
            self._worker = loop.create_task(self._drain())
        result: T = await job.done
        return result

    def _check_open(self) -> None:
        if self._closed:
            raise StoreError("the store is closed")

    async def _drain(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            group, self._waiting = self._waiting[:LARGEST_GROUP], self._waiting[LARGEST_GROUP:]
            outcomes = await loop.run_in_executor(self._thread, self._run, group)
            for job, outcome in zip(group, outcomes, strict=True):
                if job.done.done():  # the caller was cancelled; what it asked for was done all the same
                    continue
                if isinstance(outcome, BaseException):
                    job.done.set_exception(outcome)
                else:
                    job.done.set_result(outcome)
        self._worker = None

    # --- on the thread ---

    def _prepare(self) -> None:
        self._connection = self._engine.connect()
        with self._writing(self._connection).begin():
            tables.metadata.create_all(self._connection)
            insert_first_schema(self._connection)

    def _release(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._engine.dispose()

    def _writing(self, connection: Connection) -> Connection:
        return connection.execution_options(**{WRITES: True})

    def _run(self, group: list[_Job]) -> list[Any]:
        try:
            return self._transaction(group)
        except _NotTogether:
            return [self._alone(job) for job in group]
        except Exception as error:
            return [self._translate(error)] * len(group)

    def _transaction(self, group: list[_Job]) -> list[Any]:
        assert self._connection is not None
        self._connection.execution_options(**{WRITES: any(job.writes for job in group)})
        with self._connection.begin():
            return [self._one(job, shared=len(group) > 1) for job in group]

    def _one(self, job: _Job, *, shared: bool) -> Any:
        assert self._connection is not None
        try:
            return job.work(self._connection)
        except StoreError as refusal:
            return refusal  # by our own rule raised before anything is written: nothing to undo
        except Exception as error:
            if shared:
                raise _NotTogether from error
            raise

    def _alone(self, job: _Job) -> Any:
        try:
            return self._transaction([job])[0]
        except Exception as error:
            return self._translate(error)

    def _translate(self, error: Exception) -> Exception:
        if isinstance(error, SQLAlchemyError):
            return StoreError(f"the store failed: {_reason(error)}")
        return error


class _NotTogether(Exception):
    """One of several failed after it may have written: undo all, then run each by itself."""


def insert_first_schema(connection: Connection) -> None:
    """Mark a new store with our schema number; raise StoreError for a store of another one."""
    found = connection.execute(select(tables.schema.c.version)).scalar()
    if found is None:
        insert_absent(connection, tables.schema, {"version": tables.SCHEMA})
    elif found != tables.SCHEMA:
        raise StoreError(f"it has schema {found}, this program needs {tables.SCHEMA}; use the program that made it")


def _reason(error: SQLAlchemyError) -> str:
    return str(getattr(error, "orig", None) or type(error).__name__)
