"""`apprentice apply`: what the configuration says becomes what runs."""

import asyncio
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

from apprentice.budget import caps_of
from apprentice.config import load
from apprentice.settings import BudgetSettings, Config, TaskSettings
from client import Apprentice
from client.cli import options
from client.cli.configured import require
from client.cli.connecting import answered, connected
from client.cli.output import note, print_json, show
from client.errors import ApprenticeError


@dataclass
class Applied:
    """What became of each task. `others` run but are not in the configuration; nothing was done to them.

    `budget` is the budget for all tasks: started, updated, or None where there is none. `versions` are the schema
    versions of the tasks that were allowed a new one.
    """

    started: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)
    budget: str | None = None
    versions: dict[str, int] = field(default_factory=dict)


def apply(
    tasks: Annotated[list[str] | None, typer.Argument(metavar="[TASK]...", help="Only these. Default: all.")] = None,
    new_version: Annotated[
        bool, typer.Option("--new-version", help="Where a schema has changed: learn anew, keep old examples apart.")
    ] = False,
    config: options.Config = options.DEFAULT_CONFIG,
    json: options.Json = False,
    address: options.Address = None,
) -> None:
    """Start the configuration's tasks, or give those that run their new settings; and the caps for all tasks."""
    loaded = load(config, os.environ)
    chosen = _chosen(loaded, tasks or [], config)
    applied = asyncio.run(_apply(loaded, chosen, new_version, address))
    if json:
        print_json(as_json(applied))
    else:
        tell(applied)
    if applied.refused:
        raise typer.Exit(2)


def _chosen(config: Config, names: list[str], path: Path) -> list[TaskSettings]:
    """The tasks to apply. Raises `Failed` (2) for a name that the configuration lacks."""
    for name in names:
        require(config, path, name)
    return [task for task in config.tasks if not names or task.name in names]


async def _apply(config: Config, tasks: list[TaskSettings], new_version: bool, address: str | None) -> Applied:
    async with connected(address, settings=config.temporal) as apprentice:
        return await apply_config(apprentice, config, tasks, new_version=new_version)


async def apply_config(
    apprentice: Apprentice, config: Config, tasks: Iterable[TaskSettings] | None = None, *, new_version: bool = False
) -> Applied:
    """Make sure the search attributes exist, then start or update the budget for all tasks, then every task.

    Raises SearchAttributesError, NoServer; what a single task refuses is in the result.
    """
    # Only the commands that need it load it: it brings the whole operator API along.
    from workers.search_attributes import search_attributes

    await search_attributes(apprentice.client)
    applied = Applied(budget=await _apply_budget(apprentice, config))
    for task in config.tasks if tasks is None else tasks:
        try:
            started = await answered(apprentice.apply(task, new_version))
        except ApprenticeError as error:
            applied.refused[task.name] = str(error)
            continue
        (applied.started if started else applied.updated).append(task.name)
        if new_version and not started:
            applied.versions[task.name] = (await answered(apprentice.status(task.name))).schema_version
    known = {task.name for task in config.tasks}
    applied.others = [name for name in await answered(apprentice.tasks()) if name not in known]
    return applied


async def _apply_budget(apprentice: Apprentice, config: Config) -> str | None:
    """Before the tasks, which draw from it. One that runs is told as well that the file has no caps any more."""
    budget = config.budget or BudgetSettings()
    started = await answered(apprentice.apply_budget(budget))
    return None if not any(caps_of(budget)) else "started" if started else "updated"


def tell(applied: Applied) -> None:
    """The result in lines: stdout for what was done, stderr for what was not."""
    if applied.budget:
        show(f"{applied.budget} the budget for all tasks")
    for name in applied.started:
        show(f"started {name}")
    for name in applied.updated:
        show(f"updated {name}" + (f": schema version {applied.versions[name]}" if name in applied.versions else ""))
    for name, reason in applied.refused.items():
        note(f"refused {name}: {reason}")
    if applied.others:
        note(
            f"running but not in this configuration, left as they are: {', '.join(applied.others)}; "
            "`apprentice retire TASK` ends one"
        )


def as_json(applied: Applied) -> dict[str, Any]:
    """One document."""
    refused = [{"task": name, "message": reason} for name, reason in applied.refused.items()]
    return {
        "budget": applied.budget,
        "started": applied.started,
        "updated": applied.updated,
        "schema_versions": applied.versions,
        "refused": refused,
        "not_in_config": applied.others,
    }
