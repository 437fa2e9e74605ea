"""A Temporal server for one machine: the running one, or a dev server that lives as long as it is needed.

`TEMPORAL_ADDRESS` names a server that is running; without it `dev_server` starts Temporal's own dev server with the
options that Apprentice needs. It is ours alone: Ctrl-C in the terminal does not reach it, so that a worker can drain
first, and it does not outlive its starter, not even after kill -9.

`python -m workers.dev_server` runs one in the foreground; with `--ensure` it only sees to it that there is one to run.
"""

import argparse
import asyncio
import fcntl
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from temporalio.client import Client

from workers import watchdog
from workers.leaving import leave
from workers.search_attributes import SEARCH_ATTRIBUTES, known_search_attributes
from workers.temporal_binary import NoTemporalError, find_binary

HOST = "127.0.0.1"
DYNAMIC_CONFIG = {
    # 10 updates in flight and 2,000 a run are the stock limits; a task's requests are updates of one workflow.
    "history.maxInFlightUpdates": "0",
    # Instead, all in flight may come to 1 MiB, see workflows.burst; the rest is sent again (the stock limit is 20 MiB).
    "history.maxInFlightUpdatePayloads": "1048576",
    "history.maxTotalUpdates": "0",
    # Allows tests to skip time, in workflows started for that; no other clock runs faster.
    "frontend.WorkflowTimeSkippingEnabled": "true",
}
START_SECONDS = 30.0
STOP_SECONDS = 10.0
DB_LOCK_SECONDS = 15.0


class DevServerError(RuntimeError):
    """The dev server did not start; the message says why and what to do."""


@dataclass(frozen=True)
class DevServer:
    """A server one can connect to. All but the address is None where it is not ours."""

    address: str
    ui_url: str | None = None
    process: subprocess.Popen[bytes] | None = None
    log_file: Path | None = None
    guard: subprocess.Popen[bytes] | None = None


@asynccontextmanager
async def dev_server(
    db_file: Path | None = None,
    port: int | None = None,
    ui_port: int | None = None,
    *,
    binary: Path | None = None,
    fresh: bool = False,
    detach: bool = False,
) -> AsyncIterator[DevServer]:
    """A healthy server: the one TEMPORAL_ADDRESS names (unless `fresh`), else a dev server of our own.

    `db_file` None keeps everything in memory; a file is used by one server at a time. Ports None are free ones.
    With `detach` the server stays when the context ends or its starter dies. Nothing is registered on a server that
    is not ours: see `search_attributes`. Raises DevServerError, and NoTemporalError where there is no binary.
    """
    if (running := os.environ.get("TEMPORAL_ADDRESS")) and not fresh:
        yield DevServer(address=running)
        return
    if binary is None:
        binary = await asyncio.to_thread(find_binary)
    server = await start(binary, db_file, port, ui_port, detach=detach)
    try:
        yield server
    finally:
        if not detach:
            await asyncio.shield(asyncio.to_thread(stop, server))


async def start(
    binary: Path, db_file: Path | None, port: int | None, ui_port: int | None, *, detach: bool = False
) -> DevServer:
    """Start the dev server and wait until it is healthy. Raises DevServerError."""
    for wanted in (port, ui_port):
        if wanted is not None and not is_free(wanted):
            raise DevServerError(
                f"port {wanted} is in use. If that is a Temporal server you want to use, set TEMPORAL_ADDRESS={HOST}:"
                f"{wanted}; else choose another port."
            )
    attempts = 1 if port is not None else 3  # a free port can be taken by somebody else before the server has it
    while True:
        attempts -= 1
        server = await asyncio.to_thread(
            spawn, binary, db_file, port or free_port(), ui_port or free_port(), detach=detach
        )
        try:
            await until_healthy(server)
            return server
        except DevServerError:
            await asyncio.to_thread(stop, server)
            if attempts == 0:
                raise
        except BaseException:
            await asyncio.shield(asyncio.to_thread(stop, server))
            raise


def spawn(binary: Path, db_file: Path | None, port: int, ui_port: int, *, detach: bool = False) -> DevServer:
    """Start the process, in a session of its own, and its watchdog. Blocks while another server has the file."""
    log_file = db_file.with_name(db_file.name + ".log") if db_file else None
    if db_file:
        db_file.parent.mkdir(parents=True, exist_ok=True)
    log = log_file.open("wb") if log_file else tempfile.TemporaryFile()  # noqa: SIM115 - closed below
    lock = lock_db(db_file) if db_file else None
    with log:
        process = subprocess.Popen(
            [binary, *arguments(db_file, port, ui_port)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            pass_fds=[lock.fileno()] if lock else [],
        )
    if lock:
        lock.close()  # the server's own copy holds the lock from here on, for exactly as long as it lives
    guard = None if detach else spawn_watchdog(process.pid)
    return DevServer(f"{HOST}:{port}", f"http://{HOST}:{ui_port}", process, log_file, guard)


def spawn_watchdog(server: int) -> subprocess.Popen[bytes]:
    """Start the process that ends the server if we are killed."""
    command = [sys.executable, "-I", "-S", watchdog.__file__, str(os.getpid()), str(server)]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)


def arguments(db_file: Path | None, port: int, ui_port: int) -> list[str]:
    """Command line of the dev server, after the binary's name."""
    result = ["server", "start-dev", "--ip", HOST, "--port", str(port), "--ui-port", str(ui_port)]
    result += ["--log-level", "error"]
    if db_file:
        result += ["--db-filename", str(db_file)]
    for key, value in DYNAMIC_CONFIG.items():
        result += ["--dynamic-config-value", f"{key}={value}"]
    for name, type_name in SEARCH_ATTRIBUTES.items():
        result += ["--search-attribute", f"{name}={type_name}"]
    return result


def lock_db(db_file: Path) -> IO[bytes]:
    """An open, locked file beside `db_file`. A server whose starter was killed needs a moment to end: wait for it.

    Raises DevServerError after DB_LOCK_SECONDS.
    """
    lock = db_file.with_name(db_file.name + ".lock").open("ab")
    give_up = time.monotonic() + DB_LOCK_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return lock
        except BlockingIOError:
            if time.monotonic() > give_up:
                lock.close()
                raise DevServerError(
                    f"{db_file} is in use by another dev server. Stop that one (is `apprentice up` or `apprentice "
                    "demo` running elsewhere?), or set TEMPORAL_ADDRESS to its address."
                ) from None
            time.sleep(0.1)


async def until_healthy(server: DevServer) -> None:
    """Return when a client connects, namespace `default` answers and the search attributes are there."""
    give_up = time.monotonic() + START_SECONDS
    reason = "no answer"
    while time.monotonic() < give_up:
        if server.process and server.process.poll() is not None:
            raise DevServerError(f"the Temporal dev server ended with {server.process.returncode}{last_words(server)}")
        try:
            client = await Client.connect(server.address)
            if (await known_search_attributes(client)).keys() >= SEARCH_ATTRIBUTES.keys():
                return
        except Exception as problem:  # whatever a server that is just starting answers
            reason = str(problem)
        await asyncio.sleep(0.05)
    raise DevServerError(
        f"the Temporal dev server was not ready after {START_SECONDS:.0f} s: {reason}{last_words(server)}"
    )


def last_words(server: DevServer) -> str:
    """The end of the server's log, for an error message."""
    if not server.log_file or not (text := server.log_file.read_text(errors="replace").strip()):
        return ""
    return f"; {server.log_file} ends: {text.splitlines()[-1][:500]}"


def stop(server: DevServer) -> None:
    """End our server: SIGTERM, and SIGKILL if that takes longer than STOP_SECONDS. Not ours, or gone: nothing."""
    if server.process is not None:
        server.process.terminate()
        try:
            server.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            server.process.kill()
            server.process.wait()
    if server.guard is not None:
        server.guard.kill()
        server.guard.wait()


def free_port() -> int:
    """A TCP port on the loopback address that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def is_free(port: int) -> bool:
    """Whether the port can be listened on."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


async def run_in_foreground(db_file: Path | None, port: int, ui_port: int) -> None:
    """Run a dev server until SIGINT or SIGTERM."""
    asked = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, asked.set)
    async with dev_server(db_file, port, ui_port, fresh=True) as server:
        print(f"Temporal: {server.address}   Web UI: {server.ui_url}   Ctrl-C stops it", flush=True)
        await asked.wait()


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code: 0 done, 3 no server."""
    parser = argparse.ArgumentParser(prog="python -m workers.dev_server", description="Run a Temporal dev server.")
    parser.add_argument("--ensure", action="store_true", help="only find, download or build the server")
    parser.add_argument("--db-file", type=Path, help="keep the state in this file (default: in memory)")
    parser.add_argument("--port", type=int, default=7233)
    parser.add_argument("--ui-port", type=int, default=8233)
    options = parser.parse_args(argv)
    try:
        if not options.ensure:
            asyncio.run(run_in_foreground(options.db_file, options.port, options.ui_port))
        elif not os.environ.get("TEMPORAL_ADDRESS"):
            find_binary()
    except (DevServerError, NoTemporalError) as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 3
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    leave(main())
