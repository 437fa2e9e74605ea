"""One SQLite file, one thread that writes, one that reads in bulk.

Measured on 2 cores (SQLAlchemy 2.1, SQLite 3.40), one caller: an insert and its commit take 673 us of CPU through
aiosqlite, 148 us on a thread of our own; a lookup 430 to 690 us against 75 to 155 us; a lookup and an insert that
share a transaction with others 30 us. The async driver hops between threads for every cursor call, we hop once for a
whole transaction.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError

from activities.store.engines import WRITES, open_file
from activities.store.errors import StoreError, reason
from activities.store.migrating import upgrade

# The longest a single caller can be made to wait by the others in its transaction: about 10 ms.
LARGEST_GROUP = 256


@dataclass(frozen=True, slots=True)
class _Job:
    work: Callable[[Connection], Any]
    writes: bool
    done: asyncio.Future[Any]


class FileDatabase:
    """Callers that wait at the same time share one transaction (group commit).

    A function that raises leaves the others as they were.
    """

    def __init__(self, url: URL) -> None:
        self._url = url
        self._engine = open_file(url)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store")
        self._bulk_thread = ThreadPoolExecutor(1, thread_name_prefix="store-bulk")
        self._connection: Connection | None = None
        self._waiting: list[_Job] = []
        self._worker: asyncio.Task[None] | None = None
        self._closed = False

    def prepare(self) -> None:
        """Make or upgrade the tables. Raises StoreError, SQLAlchemyError."""
        creating = open_file(self._url, create=True)
        with creating.connect().execution_options(**{WRITES: True}) as connection:
            # Another process may be upgrading a large store.
            file = connection.connection.dbapi_connection
            assert file is not None
            file.execute("PRAGMA busy_timeout = 600000")
            with connection.begin():
                upgrade(connection)
        creating.dispose()

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._worker is not None:
            await self._worker
        await asyncio.to_thread(self._bulk_thread.shutdown)
        await asyncio.get_running_loop().run_in_executor(self._thread, self._release)
        self._thread.shutdown()

    async def write[T](self, work: Callable[[Connection], T]) -> T:
        return await self._submit(work, writes=True)

    async def read[T](self, work: Callable[[Connection], T]) -> T:
        return await self._submit(work, writes=False)

    async def read_bulk[T](self, work: Callable[[Connection], T]) -> T:
        self._check_open()

        def run() -> T:
            with self._engine.begin() as connection:
                return work(connection)

        try:
            return await asyncio.get_running_loop().run_in_executor(self._bulk_thread, run)
        except SQLAlchemyError as error:
            raise StoreError(f"the store cannot be read: {reason(error)}") from None

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

    def _connected(self) -> Connection:
        if self._connection is None:
            self._connection = self._engine.connect()
        return self._connection

    def _release(self) -> None:
        self._reconnect()
        self._engine.dispose()

    def _reconnect(self) -> None:
        """After a full disk or a lost file nobody knows what state the connection is in: the next one is new."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            connection.invalidate()
            connection.close()
        except SQLAlchemyError:
            self._engine.dispose()

    def _run(self, group: list[_Job]) -> list[Any]:
        try:
            return self._transaction(group)
        except _NotTogether:
            return [self._alone(job) for job in group]
        except Exception as error:
            return [self._translate(error)] * len(group)

    def _transaction(self, group: list[_Job]) -> list[Any]:
        connection = self._connected()
        connection.execution_options(**{WRITES: any(job.writes for job in group)})
        with connection.begin():
            return [self._one(connection, job, shared=len(group) > 1) for job in group]

    def _one(self, connection: Connection, job: _Job, *, shared: bool) -> Any:
        try:
            return job.work(connection)
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
            self._reconnect()
            return StoreError(f"the store failed: {reason(error)}")
        return error


class _NotTogether(Exception):
    """One of several failed after it may have written: undo all, then run each by itself."""
