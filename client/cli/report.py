"""`apprentice report`: what was saved and at what quality, with the story behind it."""

import asyncio
from typing import Any

from rich.console import Group
from rich.text import Text

from apprentice.messages import HistoryPoint, TaskStatus
from client.cli import options
from client.cli.connecting import connected
from client.cli.figures import share
from client.cli.looking import Looked, look
from client.cli.output import note, print_json, show, stdout
from client.cli.report_view import copies, report_of
from client.cli.status import TaskOrAll, as_json

type Story = tuple[TaskStatus, list[HistoryPoint]]


def report(task: TaskOrAll = None, json: options.Json = False, address: options.Address = None) -> None:
    """What was saved and at what quality: of one task, or of all that run."""
    looked = asyncio.run(_ask(task, address))
    if json:
        print_json(as_document(looked.answers[0]) if task else looked.as_json(as_document))
    elif not looked.answers and not looked.silent:
        note("no task is running; `apprentice apply` starts those of the configuration")
    else:
        for status, history in looked.answers:
            report = report_of(status, history, width=stdout().width, encoding=stdout().encoding)
            show(Group(report, Text()))
    looked.complain()


async def _ask(task: str | None, address: str | None) -> Looked[Story]:
    async with connected(address, task) as apprentice:

        async def ask(name: str) -> Story:
            return await apprentice.status(name), await apprentice.history(name)

        return await look(apprentice, task, ask)


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
