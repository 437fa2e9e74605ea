"""From a command to the server: connected, with a limit on silence, and with help for a misspelt task."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from difflib import get_close_matches

from apprentice.config import ConfigError, load_temporal
from apprentice.settings import TemporalSettings
from client import Apprentice
from client.apprentice import CONCURRENCY
from client.cli.core_log import forward_core_log
from client.cli.options import config_in_use
from client.cli.output import Failed, note
from client.errors import ApprenticeError, UnknownTask

# The server itself gives up on a query after ten seconds without a worker.
SILENCE_SECONDS = 15.0
HINT_SECONDS = 10.0
NAMES_SHOWN = 10


@asynccontextmanager
async def connected(
    address: str | None,
    task: str | None = None,
    *,
    settings: TemporalSettings | None = None,
    concurrency: int = CONCURRENCY,
) -> AsyncIterator[Apprentice]:
    """The client, with the settings of the configuration that is in use unless others are given.

    Raises NoServer, ConfigError, `Failed` for settings that cannot be read, UnknownTask with the nearest names.
    """
    forward_core_log()
    settings = settings or settings_in_use()
    opening = Apprentice.connect(address, config=settings, concurrency=concurrency)
    try:
        apprentice = await opening.__aenter__()
    except (ApprenticeError, ConfigError):
        raise
    except (RuntimeError, ValueError) as error:  # a profile or a certificate of the standard environment
        raise Failed(f"the Temporal connection settings cannot be used: {error}") from None
    try:
        yield apprentice
    except UnknownTask:
        if task is None:
            raise
        raise await unknown(apprentice, task) from None


def settings_in_use() -> TemporalSettings | None:
    """Of the configuration that is in use, if there is one. Raises ConfigError."""
    path = config_in_use.get()
    return load_temporal(path, os.environ) if path else None


async def unknown(apprentice: Apprentice, task: str) -> UnknownTask:
    """The error for a task that does not run: which do, and which was probably meant."""
    names = await answered(apprentice.tasks())
    if not names:
        return UnknownTask(f"task {task!r} is not running, nor is any other; `apprentice apply` starts them")
    near = get_close_matches(task, names, n=3, cutoff=0.5)
    shown = ", ".join(names[:NAMES_SHOWN]) + (f" and {len(names) - NAMES_SHOWN} more" if names[NAMES_SHOWN:] else "")
    meant = f"; did you mean {' or '.join(near)}?" if near else ""
    return UnknownTask(f"task {task!r} is not running{meant} (running: {shown})")


async def answered[T](waiting: Awaitable[T], seconds: float = SILENCE_SECONDS) -> T:
    """What is waited for, or exit code 3: without a worker nobody would ever answer."""
    try:
        async with asyncio.timeout(seconds):
            return await waiting
    except TimeoutError:
        message = f"no answer within {seconds:g} s: no worker is running, or the server is gone"
        raise Failed(f"{message}; start one with `apprentice worker` (or both with `apprentice up`)", 3) from None


@asynccontextmanager
async def hinting(seconds: float = HINT_SECONDS) -> AsyncIterator[None]:
    """Say why it may be quiet, once, if what happens inside takes longer than `seconds`."""

    async def hint() -> None:
        await asyncio.sleep(seconds)
        note(f"no answer after {seconds:g} s; is a worker running? (`apprentice worker`) Ctrl-C stops waiting")

    hinting = asyncio.create_task(hint())
    try:
        yield
    finally:
        hinting.cancel()
