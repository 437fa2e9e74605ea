"""The Temporal CLI, which holds the dev server: on PATH, cached, downloaded by the SDK, or built by Go.

The first that is new enough wins. Downloads and builds are kept in `$XDG_CACHE_HOME/apprentice` (`~/.cache/apprentice`)
and happen once, however many processes ask.
"""

import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path

MINIMUM_SERVER = (1, 29)
"""The oldest server that the workflows were run on."""
TIME_SKIPPING_SERVER = (1, 32)
"""The first server with `frontend.WorkflowTimeSkippingEnabled`; only tests need it."""
CLI_VERSION = "1.8.2"
"""What `tools/temporal/go.mod` pins (server 1.32.0)."""
SOURCE = Path(__file__).parent.parent / "tools" / "temporal"
DOWNLOAD = """
import asyncio, sys
from temporalio.testing import WorkflowEnvironment
async def main():
    environment = await WorkflowEnvironment.start_local(download_dest_dir=sys.argv[1])
    await environment.shutdown()
asyncio.run(main())
"""
STALL_SECONDS = 20.0

Say = Callable[[str], None]


class NoTemporalError(RuntimeError):
    """No Temporal server binary was found and none could be made; the message says what was tried and what to do."""


def say_on_stderr(line: str) -> None:
    """Tell the user why this takes a while."""
    print(f"temporal: {line}", file=sys.stderr, flush=True)


def find_binary(minimum: tuple[int, int] = MINIMUM_SERVER, say: Say = say_on_stderr) -> Path:
    """Path of a Temporal CLI whose server is at least `minimum` (major, minor), made if need be.

    Takes 0.2 s when there is one, seconds to download, minutes to build. Blocks: from async code use
    `asyncio.to_thread`. Raises NoTemporalError.
    """
    cache = cache_folder()
    if found := find_existing(cache, minimum):
        return found
    with only_one(cache / "lock", say):
        if found := find_existing(cache, minimum):
            return found
        tried: list[str] = []
        for make in (download, build):
            try:
                made = make(cache, say)
            except NoTemporalError as problem:
                tried.append(str(problem))
                continue
            if is_new_enough(made, minimum):
                return made
            tried.append(f"{made} is older than {minimum[0]}.{minimum[1]}")
    raise NoTemporalError(
        "no Temporal server: " + "; ".join(tried) + ". Install the Temporal CLI (https://docs.temporal.io/cli) so that "
        "`temporal` is on PATH, or set TEMPORAL_ADDRESS to a server that is running, or install Go."
    )


def find_existing(cache: Path, minimum: tuple[int, int]) -> Path | None:
    """`temporal` on PATH or in our cache, if it is new enough."""
    on_path = shutil.which("temporal")
    candidates = [Path(on_path)] if on_path else []
    candidates += [built_path(cache), downloaded_path(cache)]
    return next((path for path in candidates if path.is_file() and is_new_enough(path, minimum)), None)


def server_version(binary: Path) -> tuple[int, int] | None:
    """(major, minor) of the server inside the CLI; None if it does not run or does not say."""
    try:
        answer = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=30, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.search(r"Server (\d+)\.(\d+)", answer)
    return (int(match[1]), int(match[2])) if match else None


def is_new_enough(binary: Path, minimum: tuple[int, int]) -> bool:
    """Whether the binary runs and its server is at least `minimum`."""
    found = server_version(binary)
    return found is not None and found >= minimum


def cache_folder() -> Path:
    """Where downloads and builds are kept, outside the tree."""
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "apprentice"


def built_path(cache: Path) -> Path:
    """Where our own build goes."""
    return cache / f"temporal-{CLI_VERSION}"


def downloaded_path(cache: Path) -> Path:
    """Where the SDK's download goes: which CLI that is depends on the SDK."""
    return cache / f"temporal-sdk-{version('temporalio')}"


@contextmanager
def only_one(lock: Path, say: Say) -> Iterator[None]:
    """Let one process at a time in; the kernel lets go of the lock of a process that dies."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another process is fetching the server, waiting for it")
            fcntl.flock(held, fcntl.LOCK_EX)
        yield


def download(cache: Path, say: Say, program: str = DOWNLOAD, stall_seconds: float = STALL_SECONDS) -> Path:
    """Let the SDK download its server; given up when nothing has arrived for `stall_seconds`.

    A child process does it, as the SDK can neither be told to give up nor to download without starting the server.
    Raises NoTemporalError.
    """
    with tempfile.TemporaryDirectory(dir=cache, prefix=".download-") as folder:
        child = subprocess.Popen(
            [sys.executable, "-c", program, folder],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            wait_while_growing(child, Path(folder), stall_seconds, say)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        arrived = next((file for file in Path(folder).iterdir() if server_version(file)), None)
        if arrived is None:
            raise NoTemporalError("the SDK could not download one")
        return arrived.replace(downloaded_path(cache))


def wait_while_growing(child: subprocess.Popen[bytes], folder: Path, stall_seconds: float, say: Say) -> None:
    """Return when the child has ended, or when the folder's size has not changed for `stall_seconds`."""
    size, since, announced = 0, time.monotonic(), False
    while child.poll() is None and time.monotonic() - since < stall_seconds:
        now = sum(file.stat().st_size for file in folder.iterdir())
        if now != size:
            size, since = now, time.monotonic()
            if not announced:
                say("downloading the server (once)")
                announced = True
        time.sleep(0.1)


def build(cache: Path, say: Say, source: Path = SOURCE) -> Path:
    """Build the CLI with Go from the module in `tools/temporal`. Raises NoTemporalError."""
    if not (source / "go.mod").is_file():
        raise NoTemporalError("it can be built only from a checkout of the project")
    go = shutil.which("go") or shutil.which("/usr/local/go/bin/go")
    if go is None:
        raise NoTemporalError("Go is not installed to build one")
    say("building the server with Go (once; 3 to 4 minutes on two cores)")
    started = time.monotonic()
    target = built_path(cache)
    part = target.with_name(f".{target.name}.part")
    command = [go, "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", str(part)]
    done = subprocess.run(
        [*command, "github.com/temporalio/cli/cmd/temporal"], cwd=source, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise NoTemporalError("Go could not build one: " + " / ".join(done.stderr.strip().splitlines()[-3:]))
    part.replace(target)
    say(f"built in {time.monotonic() - started:.0f} s, kept as {target}")
    return target
