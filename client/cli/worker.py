"""`apprentice worker`: a worker against a running server."""

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from apprentice.config import load
from apprentice.settings import Config
from client import Apprentice
from client.cli import options
from client.cli.activity_log import shorten_activity_log
from client.cli.connecting import connected
from client.cli.core_log import forward_core_log
from client.cli.output import note, show, stderr
from client.payloads import blobs_of


def worker(config: options.Config = options.DEFAULT_CONFIG, address: options.Address = None) -> None:
    """Run a worker until Ctrl-C or SIGTERM; it finishes what it has begun."""
    log_to_stderr()
    asyncio.run(_work(load(config, os.environ), address))


async def _work(config: Config, address: str | None) -> None:
    asked = stop_signals()
    queue = config.temporal.task_queue
    async with connected(address, settings=config.temporal) as apprentice, working(apprentice, config):
        server = apprentice.client.service_client.config.target_host
        show(f"worker on task queue {queue} of {server}; Ctrl-C stops it")
        await asked.wait()
        note("stopping: finishing what has begun")


@asynccontextmanager
async def working(apprentice: Apprentice, config: Config) -> AsyncIterator[None]:
    """A worker for the configuration, in this process. Raises PayloadUnreadable if its keys are not the tasks'."""
    # Only the commands that work load what works: models, scikit-learn, the store.
    from client.payloads.probe import check_keys
    from client.payloads.sweep import sweeping
    from workers.worker import worker

    client, settings, store = apprentice.client, config.temporal, config.store
    await check_keys(client, settings.task_queue)
    async with (
        worker(client, store.url, settings.task_queue, retention=store.retention),
        sweeping(client, blobs_of(settings), settings.payload_retention),
    ):
        yield


def stop_signals() -> asyncio.Event:
    """Set by the first SIGINT or SIGTERM; a second Ctrl-C ends the process the hard way."""
    loop, asked = asyncio.get_running_loop(), asyncio.Event()

    def stop() -> None:
        asked.set()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    return asked


def log_to_stderr() -> None:
    """Warnings, of the SDK's native core too; on a terminal in colour. Call it before any client is made."""
    forward_core_log()
    shorten_activity_log()
    if stderr().is_terminal:
        from rich.logging import RichHandler

        handler: logging.Handler = RichHandler(console=stderr(), show_path=False, markup=False)
        logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[handler])
    else:
        logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
