"""The store as something that can be taken away: SQLite, and PostgreSQL.

`stopped` is a store that cannot be reached for writing, `full` one that cannot grow. Both are real: locks, limits of
the operating system, a server that is gone; nothing in the program knows of them.
"""

import asyncio
import contextlib
import os
import resource
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from workers.dev_server import HOST, free_port


class StoreUnderTest(Protocol):
    """A store that can be stopped and filled, and comes back."""

    url: str

    async def start(self) -> None: ...
    async def close(self) -> None: ...
    async def stop(self) -> None:
        """Nothing can be written any more."""

    async def go_on(self) -> None: ...
    async def fill(self, workers: Sequence[int]) -> None:
        """What these processes write is refused; they can still read."""

    async def empty(self, workers: Sequence[int]) -> None: ...


class SqliteStore:
    """A file. Stopped: somebody else holds its write lock. Full: the workers may not write beyond byte 0 of any file.

    The limit is that of a disk quota (RLIMIT_FSIZE), and works for root too, whom no file mode stops.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / "store.db"
        self.url = f"sqlite:///{self._file}"
        self._lock: sqlite3.Connection | None = None

    async def start(self) -> None:
        """The first worker makes the file."""

    async def close(self) -> None:
        await self.go_on()

    async def stop(self) -> None:
        await self.go_on()
        connection = sqlite3.connect(self._file, isolation_level=None, timeout=20, check_same_thread=False)
        await asyncio.to_thread(connection.execute, "BEGIN EXCLUSIVE")
        self._lock = connection

    async def go_on(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    async def fill(self, workers: Sequence[int]) -> None:
        for pid in workers:
            _limit(pid, 0)

    async def empty(self, workers: Sequence[int]) -> None:
        for pid in workers:
            _limit(pid, resource.RLIM_INFINITY)


def _limit(pid: int, size: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)[1]
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size if hard == resource.RLIM_INFINITY else hard, hard))


class PostgresStore:
    """A cluster of its own. Stopped: `pg_ctl stop -m immediate`, which is a crash. Full: read-only transactions."""

    def __init__(self) -> None:
        # PostgreSQL refuses root, and whoever it runs as must reach the folder.
        self._user = "nobody" if os.geteuid() == 0 else None
        self._folder = Path(tempfile.mkdtemp(prefix="apprentice-chaos-"))
        self._data = self._folder / "data"
        self._port = free_port()
        self.url = f"postgresql://apprentice@{HOST}:{self._port}/postgres"

    async def start(self) -> None:
        if self._user:
            shutil.chown(self._folder, self._user)
        await self._run("initdb", "-D", str(self._data), "-U", "apprentice", "-A", "trust", "--no-sync")
        await self.go_on()

    async def close(self) -> None:
        await self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    async def stop(self) -> None:
        with contextlib.suppress(subprocess.CalledProcessError):  # stopped already
            await self._run("pg_ctl", "stop", "-D", str(self._data), "-m", "immediate", "-w")

    async def go_on(self) -> None:
        options = f"-p {self._port} -h {HOST} -k {self._folder}"
        with contextlib.suppress(subprocess.CalledProcessError):  # it runs
            await self._run("pg_ctl", "start", "-D", str(self._data), "-w", "-o", options, "-l", f"{self._folder}/log")

    async def fill(self, workers: Sequence[int]) -> None:
        await self._read_only("on")

    async def empty(self, workers: Sequence[int]) -> None:
        await self._read_only("off")

    async def _read_only(self, value: str) -> None:
        psql = ["psql", "-h", HOST, "-p", str(self._port), "-U", "apprentice", "-d", "postgres", "-q"]
        alter = f"ALTER SYSTEM SET default_transaction_read_only = {value}"
        # The session itself may be read-only already.
        await self._run(*psql, "-c", "SET default_transaction_read_only = off", "-c", alter)
        await self._run(*psql, "-c", "SELECT pg_reload_conf()")

    async def _run(self, *command: str) -> None:
        program = shutil.which(command[0])
        if program is None:
            raise FileNotFoundError(f"{command[0]} is not on PATH: install PostgreSQL's server, or put its bin there")
        await asyncio.to_thread(
            subprocess.run,
            [program, *command[1:]],
            check=True,
            user=self._user,
            cwd=self._folder,
            env={**os.environ, "PGCONNECT_TIMEOUT": "10"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
