"""`apprentice worker`: a worker against a running server."""

import asyncio
import logging
import os
import signal
from contextlib import AbstractAsyncContextManager

from apprentice.config import load
from apprentice.settings import Config
from client import Apprentice
from client.cli import options
from client.cli.connecting import connected
from client.cli.core_log import forward_core_log
from client.cli.output import note, show, stderr


def worker(config: options.Config = options.DEFAULT_CONFIG, address: options.Address = None) -> None:
    """Run a worker until Ctrl-C or SIGTERM; it finishes what it has begun."""
    log_to_stderr()
    asyncio.run(_work(load(config, os.environ), address))


async def _work(config: Config, address: str | None) -> None:
    asked = stop_signals()
    queue = config.temporal.task_queue
    async with connected(address, task_queue=queue) as apprentice, working(apprentice, config):
        server = apprentice.client.service_client.config.target_host
        show(f"worker on task queue {queue} of {server}; Ctrl-C stops it")
        await asked.wait()
        note("stopping: finishing what has begun")


def working(apprentice: Apprentice, config: Config) -> AbstractAsyncContextManager[object]:
    """A worker for the configuration, in this process."""
    # Only the commands that work load what works: models, scikit-learn, the store.
    from workers.worker import worker

    store, queue = config.store, config.temporal.task_queue
    return worker(apprentice.client, store.url, queue, retention=store.retention)


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
    if stderr().is_terminal:
        from rich.logging import RichHandler

        handler: logging.Handler = RichHandler(console=stderr(), show_path=False, markup=False)
        logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[handler])
    else:
        logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
