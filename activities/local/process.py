"""A model server of our own: one process for one version of a model. Started, watched, started again, ended with us.

starting        `started` waits for it
did not start   NotStarted, with the last words of the process
running         a `Server` like any other
died            ServerDown at once, until it is running again: first at once, then after longer and longer pauses
"""

import asyncio
import logging
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from activities.local.command import with_port
from activities.local.model import ServerDown
from activities.local.server import Place, Server

HOST = "127.0.0.1"
START_SECONDS = 600.0
"""A large model is read from a slow disk."""
LOOK_SECONDS = 0.05
GRACE_SECONDS = 10.0
LONGEST_PAUSE_SECONDS = 30.0
STEADY_SECONDS = 60.0
"""A process that lived so long is started again at once when it dies."""
HUNG_SECONDS = 60.0
"""A process that is alive and has answered no probe for so long is ended, to be started again."""
LARGEST_LOG = 1024 * 1024
# A script that needs nothing but its own file; the worker's layer is above this one and cannot be imported here.
WATCHDOG = Path(__file__).parents[2] / "workers" / "watchdog.py"

_log = logging.getLogger(__name__)


class NotStarted(Exception):
    """The process cannot be run, ended before it was ready, or was not ready in time; the message says why."""


class ModelProcess:
    """Keeps `command` running from its making on, within one event loop."""

    def __init__(self, name: str, place: Place, command: Sequence[str], key_variable: str | None) -> None:
        self._name = name
        self._place = place
        self._command = command
        self._key_variable = key_variable
        self._running: Running | None = None
        self._server: Server | None = None
        self._questions = 0
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._stopped = False
        self._first = asyncio.create_task(self._start())
        self._keeper = asyncio.create_task(self._keep_up())

    @property
    def stopped(self) -> bool:
        """Whether it is to be used no more."""
        return self._stopped

    @property
    def pid(self) -> int | None:
        """Of the process, while there is one."""
        return self._running.process.pid if self._running else None

    async def started(self) -> None:
        """Return when its first start is over. Raises NotStarted."""
        await asyncio.shield(self._first)

    @contextmanager
    def question(self) -> Iterator[Server]:
        """The server, for one question: it is not stopped before it has answered. Raises ServerDown."""
        if self._server is None:
            raise ServerDown(f"{self._name} ended and is being started again")
        self._questions += 1
        self._quiet.clear()
        try:
            yield self._server
        finally:
            self._questions -= 1
            if not self._questions:
                self._quiet.set()

    async def alive(self) -> bool:
        """Whether it is running and answers."""
        return self._server is not None and await self._server.alive()

    async def stop(self) -> None:
        """End the process once nothing is in flight."""
        self._stopped = True
        await self._quiet.wait()
        for task in (self._keeper, self._first):
            task.cancel()
            with suppress(asyncio.CancelledError, NotStarted):
                await task
        await self._end()

    async def _keep_up(self) -> None:
        try:
            await asyncio.shield(self._first)
        except NotStarted:
            return
        pause = 0.0
        while True:
            began = _now()
            why = await self._until_it_fails()
            await self._end()
            _log.warning("%s %s and is started again", self._name, why)
            pause = 0.0 if _now() - began > STEADY_SECONDS else pause
            while self._server is None:
                await asyncio.sleep(pause)
                pause = min(LONGEST_PAUSE_SECONDS, max(1.0, pause * 2))
                try:
                    await self._start()
                except NotStarted as error:
                    _log.warning("%s", error)

    async def _until_it_fails(self) -> str:
        """Return when the process has ended, or has been silent for too long; in words."""
        assert self._running is not None
        assert self._server is not None
        heard = _now()
        while (code := self._running.process.poll()) is None:
            await asyncio.sleep(LOOK_SECONDS)
            self._running.shorten_log()
            heard = heard if self._server.health.down else _now()
            if _now() - heard > HUNG_SECONDS:
                return f"gave no answer for {HUNG_SECONDS:g} s"
        return f"ended with code {code}"

    async def _start(self) -> None:
        """Run it and wait until it is healthy. Raises NotStarted, with nothing left running."""
        port = _free_port()
        try:
            running = self._running = Running(with_port(self._command, port))
        except OSError as error:
            words = f"local.server_command: {self._command[0]!r} cannot be run ({error.strerror})"
            raise NotStarted(words) from None
        server = Server(self._place, f"http://{HOST}:{port}", self._key_variable)
        try:
            await self._until_healthy(running, server)
        except BaseException:
            await server.close()
            await asyncio.shield(self._end())
            raise
        self._server = server

    async def _until_healthy(self, running: "Running", server: Server) -> None:
        try:
            async with asyncio.timeout(START_SECONDS):
                while not await server.alive() and running.process.poll() is None:  # noqa: ASYNC110 - nothing tells
                    await asyncio.sleep(LOOK_SECONDS)
        except TimeoutError:
            raise NotStarted(f"{self._name} was not ready within {START_SECONDS:g} s") from None
        if running.process.poll() is not None:
            code, said = running.process.returncode, running.last_words()
            raise NotStarted(f"{self._name} ended with code {code} as it started{said and f': {said}'}")

    async def _end(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.give_up()
        running, self._running = self._running, None
        if running is not None:
            await asyncio.to_thread(running.end)
        if server is not None:
            await self._quiet.wait()  # what was in flight meets a broken connection, at once
            await server.close()


class Running:
    """A process with its watchdog, and with a log that is nobody else's and has no name. Raises OSError."""

    def __init__(self, words: Sequence[str]) -> None:
        self._log, path = tempfile.mkstemp(prefix="apprentice-server-")
        # Appending, so that it goes on at the front when the log is emptied.
        log = os.open(path, os.O_WRONLY | os.O_APPEND)
        os.unlink(path)
        try:
            # In a session of its own: what is typed at the worker's terminal is for the worker.
            self.process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        except OSError:
            os.close(self._log)
            raise
        finally:
            os.close(log)
        guard = (sys.executable, "-I", "-S", str(WATCHDOG), str(os.getpid()), str(self.process.pid))
        self._guard = subprocess.Popen(guard, stdin=subprocess.DEVNULL, start_new_session=True)

    def shorten_log(self) -> None:
        """Its end is wanted when a start fails, and no more of it ever."""
        if os.fstat(self._log).st_size > LARGEST_LOG:
            os.ftruncate(self._log, 0)

    def last_words(self) -> str:
        """The last line that the process wrote."""
        size = os.fstat(self._log).st_size
        lines = os.pread(self._log, 4096, max(0, size - 4096)).decode(errors="replace").strip().splitlines()
        return lines[-1].strip()[:300] if lines else ""

    def end(self) -> None:
        """SIGTERM, and SIGKILL if that has not helped. Blocks for as long."""
        self.process.terminate()
        try:
            self.process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._guard.wait()
        os.close(self._log)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind((HOST, 0))
        return int(one.getsockname()[1])


def _now() -> float:
    return asyncio.get_running_loop().time()
