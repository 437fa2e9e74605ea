"""`apprentice watch`: the status, live."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from apprentice.messages import TaskStatus
from client.cli import options
from client.cli.connecting import connected
from client.cli.looking import Looked, look
from client.cli.output import Failed, note, print_line, show, stdout
from client.cli.status import TaskOrAll, as_json
from client.cli.status_view import detail, line, overview
from client.errors import NoServer


def watch(
    task: TaskOrAll = None,
    interval: Annotated[float, typer.Option(metavar="SECONDS", min=0.1, help="Between two looks.")] = 2.0,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document a line and task.")] = False,
    address: options.Address = None,
) -> None:
    """The status, live, until Ctrl-C: a screen on a terminal, else a line for each task and look."""
    live = stdout().is_terminal and not json
    asyncio.run(_draw(task, interval, address) if live else _print(task, interval, json, address))


async def _looks(task: str | None, interval: float, address: str | None) -> AsyncIterator[Looked[TaskStatus] | None]:
    """Look after look; None where nobody answered. The first has to be answered."""
    async with connected(address, task) as apprentice:
        seen = False
        while True:
            started = time.monotonic()
            found: Looked[TaskStatus] | None = None
            try:
                found = await look(apprentice, task, apprentice.status)
            except (Failed, NoServer):
                if not seen:
                    raise
            if found and not found.answers and not seen:
                found.complain()
            seen = seen or found is not None
            yield found
            await asyncio.sleep(max(0.0, started + interval - time.monotonic()))


async def _print(task: str | None, interval: float, json: bool, address: str | None) -> None:
    silent: list[str] = []
    async for looked in _looks(task, interval, address):
        if looked is None:
            note("no answer; still trying")
            continue
        if looked.trouble and looked.silent != silent:  # once, not at each look
            note(looked.trouble)
        silent = looked.silent
        if not looked.answers and not silent and not json:
            note("no task is running")
        for status in looked.answers:
            if json:
                print_line(as_json(status))
            else:
                show(line(status))


async def _draw(task: str | None, interval: float, address: str | None) -> None:
    with Live(console=stdout(), auto_refresh=False, screen=False) as live:
        last: list[TaskStatus] = []
        async for looked in _looks(task, interval, address):
            trouble = "no answer; still trying" if looked is None else looked.trouble
            last = last if looked is None else looked.answers
            hint = Text(trouble or "Ctrl-C ends this", style="dim")
            live.update(Group(_picture(task, last), hint), refresh=True)


def _picture(task: str | None, statuses: list[TaskStatus]) -> RenderableType:
    if not statuses:
        return Text("no task is running; `apprentice apply` starts those of the configuration")
    return detail(statuses[0]) if task else overview(statuses, stdout().width)
