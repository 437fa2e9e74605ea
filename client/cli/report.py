"""`apprentice report`: what was saved and at what quality, with the story behind it."""

import asyncio
from typing import Any

from rich.console import Group
from rich.text import Text

from apprentice.messages import HistoryPoint, TaskStatus
from client import Apprentice
from client.cli import options
from client.cli.connecting import answered, connected
from client.cli.figures import share
from client.cli.output import note, print_json, show, stdout
from client.cli.report_view import copies, report_of
from client.cli.status import TaskOrAll, as_json, read

type Story = tuple[TaskStatus, list[HistoryPoint]]


def report(task: TaskOrAll = None, json: options.Json = False, address: options.Address = None) -> None:
    """What was saved and at what quality: of one task, or of all that run."""
    stories = asyncio.run(_ask(task, address))
    if json:
        print_json(as_document(stories[0]) if task else {"tasks": [as_document(story) for story in stories]})
        return
    if not stories:
        note("no task is running; `apprentice apply` starts those of the configuration")
    encoding = stdout().encoding
    for status, history in stories:
        show(Group(report_of(status, history, width=stdout().width, encoding=encoding), Text()))


async def _ask(task: str | None, address: str | None) -> list[Story]:
    async with connected(address, task) as apprentice:
        return await answered(_read(apprentice, task))


async def _read(apprentice: Apprentice, task: str | None) -> list[Story]:
    statuses = await read(apprentice, task)
    histories = await asyncio.gather(*[apprentice.history(status.task) for status in statuses])
    return list(zip(statuses, histories, strict=True))


def as_document(story: Story) -> dict[str, Any]:
    """The status, what follows from it, the savings and the history. Money is text, shares are in [0, 1]."""
    status, history = story
    savings = {
        "spend": str(status.spend),
        "all_remote": str(status.all_remote),
        "local_cost": str(status.local_cost),
        "saved": str(status.savings),
        "copies": str(copies(status)),
        "share": share(float(status.savings), float(status.all_remote)),
        "currency": status.currency,
    }
    points = [point.model_dump(mode="json") for point in history]
    return as_json(status) | {"savings": savings, "history": points}
