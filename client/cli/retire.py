"""`apprentice retire`: the end of a task, from which it can come back."""

import asyncio
import sys
from typing import Annotated

import typer
from rich.prompt import Confirm
from rich.text import Text

from apprentice.messages import TaskStatus
from client.cli import options
from client.cli.connecting import connected, hinting
from client.cli.counts import counted
from client.cli.output import Failed, print_json, show, stderr


def retire(
    task: options.Task,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json: options.Json = False,
    address: options.Address = None,
) -> None:
    """End a task once what it has begun is finished. What it learnt stays in the store; `apply` starts it again."""
    if not yes:
        _ask(task)
    status = asyncio.run(_retire(task, address))
    if json:
        print_json({"task": task, "retired": True, "requests": status.requests, "examples": status.examples})
    else:
        served = counted(status.requests, "request")
        show(f"retired {task} after {served}; `apprentice apply` starts it again where it was")


def _ask(task: str) -> None:
    """Raises `Failed` (2) where nobody answers, and if the answer is no."""
    if not sys.stdin.isatty():
        raise Failed(f"nobody is here to confirm that {task!r} shall end; `--yes` says so")
    question = Text(f"End the task {task}? Requests to it will fail until `apprentice apply`.")
    try:
        agreed = Confirm.ask(question, default=False, console=stderr())
    except EOFError:
        agreed = False
    if not agreed:
        raise Failed(f"{task} goes on")


async def _retire(task: str, address: str | None) -> TaskStatus:
    async with connected(address, task) as apprentice, hinting():
        return await apprentice.retire(task)
