"""`apprentice retire`: the end of a task, from which it can come back."""

import asyncio
from typing import Annotated

import typer

from apprentice.messages import TaskStatus
from client.cli import options
from client.cli.confirming import confirm
from client.cli.connecting import connected, hinting
from client.cli.counts import counted
from client.cli.output import print_json, show


def retire(
    task: options.Task,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json: options.Json = False,
    address: options.Address = None,
) -> None:
    """End a task once what it has begun is finished. What it learnt stays in the store; `apply` starts it again."""
    if not yes:
        question = f"End the task {task}? Requests to it will fail until `apprentice apply`."
        nobody = f"nobody is here to confirm that {task!r} shall end; `--yes` says so"
        confirm(question, nobody, f"{task} goes on")
    status = asyncio.run(_retire(task, address))
    if json:
        print_json({"task": task, "retired": True, "requests": status.requests, "examples": status.examples})
    else:
        served = counted(status.requests, "request")
        show(f"retired {task} after {served}; `apprentice apply` starts it again where it was")


async def _retire(task: str, address: str | None) -> TaskStatus:
    async with connected(address, task) as apprentice, hinting():
        return await apprentice.retire(task)
