"""`apprentice status`: how all tasks stand, or everything about one."""

import asyncio
from typing import Annotated, Any

import typer

from apprentice.messages import TaskStatus
from client.cli import options
from client.cli.connecting import connected
from client.cli.looking import Looked, look
from client.cli.output import note, print_json, show, stdout
from client.cli.status_view import detail, overview

TaskOrAll = Annotated[str | None, typer.Argument(metavar="[TASK]", help="The task's name. Default: all tasks.")]


def status(task: TaskOrAll = None, json: options.Json = False, address: options.Address = None) -> None:
    """How all tasks stand, or everything about one."""
    looked = asyncio.run(_ask(task, address))
    if json:
        print_json(as_json(looked.answers[0]) if task else looked.as_json(as_json))
    elif task:
        show(detail(looked.answers[0]))
    elif looked.answers:
        show(overview(looked.answers, stdout().width))
    elif not looked.silent:
        note("no task is running; `apprentice apply` starts those of the configuration")
    looked.complain()


async def _ask(task: str | None, address: str | None) -> Looked[TaskStatus]:
    async with connected(address, task) as apprentice:
        return await look(apprentice, task, apprentice.status)


def as_json(status: TaskStatus) -> dict[str, Any]:
    """The status with what follows from it. Money is text, so that no digit is lost; times are UTC."""
    derived = {"local_share": status.local_share, "savings": str(status.savings)}
    return status.model_dump(mode="json") | derived
