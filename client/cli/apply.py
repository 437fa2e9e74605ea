"""`apprentice apply`: what the configuration says becomes what runs."""

import asyncio
import os
from dataclasses import dataclass, field
from typing import Any

import typer

from apprentice.config import load
from apprentice.settings import Config
from client import Apprentice
from client.cli import options
from client.cli.connecting import answered, connected
from client.cli.output import note, print_json, show
from client.errors import ApprenticeError


@dataclass
class Applied:
    """What became of each task. `others` run but are not in the configuration; nothing was done to them."""

    started: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)


def apply(
    config: options.Config = options.DEFAULT_CONFIG,
    json: options.Json = False,
    address: options.Address = None,
) -> None:
    """Start the configuration's tasks, or give those that run their new settings."""
    applied = asyncio.run(_apply(load(config, os.environ), address))
    if json:
        print_json(as_json(applied))
    else:
        tell(applied)
    if applied.refused:
        raise typer.Exit(2)


async def _apply(config: Config, address: str | None) -> Applied:
    async with connected(address, settings=config.temporal) as apprentice:
        return await apply_config(apprentice, config)


async def apply_config(apprentice: Apprentice, config: Config) -> Applied:
    """Make sure the search attributes exist, then start or update every task.

    Raises SearchAttributesError, NoServer; what a single task refuses is in the result.
    """
    # Only the commands that need it load it: it brings the whole operator API along.
    from workers.search_attributes import search_attributes

    await search_attributes(apprentice.client)
    applied = Applied()
    for task in config.tasks:
        try:
            started = await answered(apprentice.apply(task))
        except ApprenticeError as error:
            applied.refused[task.name] = str(error)
        else:
            (applied.started if started else applied.updated).append(task.name)
    known = {task.name for task in config.tasks}
    applied.others = [name for name in await answered(apprentice.tasks()) if name not in known]
    return applied


def tell(applied: Applied) -> None:
    """The result in lines: stdout for what was done, stderr for what was not."""
    for name in applied.started:
        show(f"started {name}")
    for name in applied.updated:
        show(f"updated {name}")
    for name, reason in applied.refused.items():
        note(f"refused {name}: {reason}")
    if applied.others:
        note(f"running but not in this configuration, left as they are: {', '.join(applied.others)}")


def as_json(applied: Applied) -> dict[str, Any]:
    """One document."""
    refused = [{"task": name, "message": reason} for name, reason in applied.refused.items()]
    return {
        "started": applied.started,
        "updated": applied.updated,
        "refused": refused,
        "not_in_config": applied.others,
    }
