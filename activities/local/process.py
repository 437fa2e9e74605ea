"""A model server of our own: one process for one version of a model. Started, watched, started again, ended with us.

starting        who asks waits for it
did not start   ModelUnavailable at once, with the last words of the process; tried again after a pause
running         a `Server` like any other
died            ServerDown at once, until it is running again: first at once, then after longer and longer pauses
"""

import asyncio
import logging
import os
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from activities.local.command import with_port
from activities.local.in_flight import InFlight
from activities.local.model import ServerDown
from activities.local.server import Place, Server

HOST = "127.0.0.1"
START_SECONDS = 600.0
"""A large model is read from a slow disk."""
LOOK_SECONDS = 0.05
GRACE_SECONDS = 10.0
TRY_AGAIN_SECONDS = 30.0
"""After a start that failed: what it lacked (memory, a file) may be there by then."""
LONGEST_PAUSE_SECONDS = 30.0
STEADY_SECONDS = 60.0
"""A process that lived so long is started again at once when it dies."""
TAIL = 4096
# A script that needs nothing but its own file; the worker's layer is above this one and cannot be imported here.
WATCHDOG = Path(__file__).parents[2] / "workers" / "watchdog.py"

_log = logging.getLogger(__name__)


class NotStarted(Exception):
    """The process ended before it was ready, or was not ready in time; the message says why."""


class ModelProcess:
    """Runs `command` from its making on. Use it within one event loop."""

    def __init__(self, name: str, place: Place, command: Sequence[str], key_variable: str | None) -> None:
        self._name = name
        self._place = place
        self._command = command
        self._key_variable = key_variable
        self._process: asyncio.subprocess.Process | None = None
        self._server: Server | None = None
        self._tail = b""
        self._reading: asyncio.Task[None] | None = None
        self._in_flight = InFlight()
        self._first = asyncio.create_task(self._start())
        self._keeper = asyncio.create_task(self._keep_up())
        self._failed_at: float | None = None

    @property
    def given_up(self) -> bool:
        """Whether its first start failed, and long enough ago that another may be tried."""
        return self._failed_at is not None and _now() - self._failed_at > TRY_AGAIN_SECONDS

    @property
    def failed(self) -> bool:
        """Whether its first start failed."""
        return self._failed_at is not None

    @property
    def pid(self) -> int | None:
        """Of the process, while there is one."""
        return None if self._process is None or self._process.returncode is not None else self._process.pid

    async def started(self) -> None:
        """Return when its first start is over. Raises NotStarted, ServerDown."""
        await asyncio.shield(self._first)

    @contextmanager
    def question(self) -> Iterator[Server]:
        """The server, for one question: the process is not stopped before it has its answer. Raises ServerDown."""
        with self._in_flight.one(0):
            if self._server is None:
                raise ServerDown(f"{self._name} ended and is being started again")
            yield self._server

    async def alive(self) -> bool:
        """Whether it is running and answers."""
        return self._server is not None and await self._server.alive()

    async def stop(self) -> None:
        """End the process once nothing is in flight."""
        if not self.failed:
            await self._in_flight.drained(0)
        for task in (self._keeper, self._first):
            task.cancel()
            with suppress(asyncio.CancelledError, NotStarted, ServerDown):
                await task
        await self._end()

    async def _keep_up(self) -> None:
        try:
            await asyncio.shield(self._first)
        except (NotStarted, ServerDown):
            self._failed_at = _now()
            return
        pause = 0.0
        while self._process is not None:
            began = _now()
            code = await self._process.wait()
            await self._end()
            _log.warning("%s ended with code %s and is started again", self._name, code)
            pause = 0.0 if _now() - began > STEADY_SECONDS else pause
            while True:
                await asyncio.sleep(pause)
                pause = min(LONGEST_PAUSE_SECONDS, max(1.0, pause * 2))
                try:
                    await self._start()
                    break
                except (NotStarted, ServerDown) as error:
                    _log.warning("%s", error)

    async def _start(self) -> None:
        """Run it and wait until it is healthy. Raises NotStarted or ServerDown, with nothing left running."""
        port = _free_port()
        self._tail = b""
        try:
            # In a session of its own: what is typed at the worker's terminal is for the worker.
            self._process = await asyncio.create_subprocess_exec(
                *with_port(self._command, port),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            program = self._command[0]
            raise ServerDown(f"local.server_command: {program!r} cannot be run ({error.strerror})") from None
        try:
            await self._guard(self._process.pid)
            self._reading = asyncio.create_task(self._read(self._process))
            server = Server(self._place, f"http://{HOST}:{port}", self._key_variable)
            await self._until_healthy(self._process, server)
        except BaseException:
            await asyncio.shield(self._end())
            raise
        self._server = server

    async def _until_healthy(self, process: asyncio.subprocess.Process, server: Server) -> None:
        try:
            async with asyncio.timeout(START_SECONDS):
                while process.returncode is None and not await server.alive():  # noqa: ASYNC110 - no event tells it
                    await asyncio.sleep(LOOK_SECONDS)
        except TimeoutError:
            await server.close()
            raise NotStarted(f"{self._name} was not ready within {START_SECONDS:g} s") from None
        except asyncio.CancelledError:
            await server.close()
            raise
        if process.returncode is not None:
            await server.close()
            if self._reading is not None:
                await self._reading
            said = self._tail.decode(errors="replace").strip().splitlines()
            last = f": {said[-1].strip()[:300]}" if said else ""
            raise NotStarted(f"{self._name} ended with code {process.returncode} as it started{last}")

    async def _guard(self, pid: int) -> None:
        """Have it ended if we are killed."""
        await asyncio.create_subprocess_exec(
            sys.executable, "-I", "-S", str(WATCHDOG), str(os.getpid()), str(pid), start_new_session=True
        )

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        """Keep the end of what it says while it starts; afterwards read on, or it would block, and keep nothing."""
        assert process.stdout is not None
        while said := await process.stdout.read(TAIL):
            self._tail = b"" if self._server else (self._tail + said)[-TAIL:]

    async def _end(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            await server.close()
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            with suppress(ProcessLookupError):
                process.terminate()
            try:
                await asyncio.wait_for(process.wait(), GRACE_SECONDS)
            except TimeoutError:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()


def _free_port() -> int:
    with socket.socket() as one:
        one.bind((HOST, 0))
        return int(one.getsockname()[1])


def _now() -> float:
    return asyncio.get_running_loop().time()
