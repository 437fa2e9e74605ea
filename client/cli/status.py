"""`apprentice status`: how all tasks stand, or everything about one."""

import asyncio
from typing import Annotated, Any

import typer

from apprentice.messages import TaskStatus
from client import Apprentice
from client.cli import options
from client.cli.connecting import answered, connected
from client.cli.output import note, print_json, show, stdout
from client.cli.status_view import detail, overview
from client.errors import UnknownTask

TaskOrAll = Annotated[str | None, typer.Argument(metavar="[TASK]", help="The task's name. Default: all tasks.")]


def status(task: TaskOrAll = None, json: options.Json = False, address: options.Address = None) -> None:
    """How all tasks stand, or everything about one."""
    statuses = asyncio.run(_ask(task, address))
    if json:
        print_json(as_json(statuses[0]) if task else {"tasks": [as_json(one) for one in statuses]})
    elif task:
        show(detail(statuses[0]))
    elif statuses:
        show(overview(statuses, stdout().width))
    else:
        note("no task is running; `apprentice apply` starts those of the configuration")


async def _ask(task: str | None, address: str | None) -> list[TaskStatus]:
    async with connected(address, task) as apprentice:
        return await answered(read(apprentice, task))


async def read(apprentice: Apprentice, task: str | None) -> list[TaskStatus]:
    """The status of one task, or of all that run, sorted by name."""
    if task is not None:
        return [await apprentice.status(task)]
    found = await asyncio.gather(*[_running(apprentice, name) for name in await apprentice.tasks()])
    return [one for one in found if one is not None]


async def _running(apprentice: Apprentice, task: str) -> TaskStatus | None:
    try:
        return await apprentice.status(task)
    except UnknownTask:  # it ended since the list was made
        return None


def as_json(status: TaskStatus) -> dict[str, Any]:
    """The status with what follows from it. Money is text, so that no digit is lost; times are UTC."""
    derived = {"local_share": status.local_share, "savings": str(status.savings)}
    return status.model_dump(mode="json") | derived
