"""`apprentice up`: everything on this machine."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import typer

from apprentice.config import load
from apprentice.settings import Config
from client.cli import options
from client.cli.apply import apply_config, tell
from client.cli.connecting import connected
from client.cli.output import note, show
from client.cli.worker import log_to_stderr, stop_signals, working

DATABASE = Path(".apprentice") / "temporal.db"


def up(
    config: options.Config = options.DEFAULT_CONFIG,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Of the Temporal dev server.")] = 7233,
    ui_port: Annotated[int, typer.Option(min=1, max=65535, help="Of its Web UI.")] = 8233,
    address: options.Address = None,
) -> None:
    """Run the server (unless TEMPORAL_ADDRESS names one), a worker and all tasks, until Ctrl-C or SIGTERM.

    The server's state is kept beside the configuration, in .apprentice/temporal.db.
    """
    log_to_stderr()
    asyncio.run(_up(load(config, os.environ), config.absolute().parent, port, ui_port, address))


async def _up(config: Config, folder: Path, port: int, ui_port: int, address: str | None) -> None:
    asked = stop_signals()
    async with (
        _server(folder / DATABASE, port, ui_port, address) as (target, ui),
        connected(target, settings=config.temporal) as apprentice,
        working(apprentice, config),
    ):
        tell(await apply_config(apprentice, config))
        show(f"Temporal {target}" + (f"   Web UI {ui}" if ui else ""))
        show(f"ready: {', '.join(task.name for task in config.tasks)}; Ctrl-C stops it")
        await asked.wait()
        note("stopping: finishing what has begun")


@asynccontextmanager
async def _server(
    database: Path, port: int, ui_port: int, address: str | None
) -> AsyncIterator[tuple[str, str | None]]:
    """Address of the server to use and of its Web UI: the one that was named, else a dev server of our own."""
    named = address or os.environ.get("TEMPORAL_ADDRESS")
    if named:
        yield named, None
        return
    from workers.dev_server import dev_server

    async with dev_server(database, port, ui_port) as server:
        yield server.address, server.ui_url
