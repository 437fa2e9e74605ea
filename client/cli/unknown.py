"""`apprentice unknown`: paid calls of which nobody knows whether they were made."""

import asyncio
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE
from rich.table import Table
from rich.text import Text

from apprentice.config import load
from apprentice.settings import Config
from client.cli import options
from client.cli.configured import require
from client.cli.output import note, print_json, show
from client.cli.status import TaskOrAll
from client.cli.status_view import moment, money

if TYPE_CHECKING:
    from activities.store import UnknownCall

type Calls = Mapping[str, Sequence["UnknownCall"]]
"""By task, oldest first."""


def unknown(
    task: TaskOrAll = None, config: options.Config = options.DEFAULT_CONFIG, json: options.Json = False
) -> None:
    """List the calls of unknown outcome, from the store of the configuration; `reconcile` settles one.

    They count as spent at their upper bound. A call that is being made at this moment is among them.
    """
    loaded = load(config, os.environ)
    if task is not None:
        require(loaded, config, task)
    calls = asyncio.run(_read(loaded, [task] if task else [one.name for one in loaded.tasks]))
    if json:
        print_json({"calls": [as_json(name, call) for name, found in calls.items() for call in found]})
    elif any(calls.values()):
        show(_table(loaded, calls))
        note("settle one by what the provider billed: `apprentice reconcile TASK REQUEST_ID --cost AMOUNT`")
    else:
        show("no call of unknown outcome")


async def _read(config: Config, tasks: Sequence[str]) -> Calls:
    # Only the commands that read the store load it.
    from activities.store import Store

    async with await Store.open(config.store.url) as store:
        return {task: await store.journal.unknowns(task) for task in tasks}


def as_json(task: str, call: "UnknownCall") -> dict[str, Any]:
    """Money is text, so that no digit is lost."""
    return {
        "task": task,
        "request_id": call.request_id,
        "provider": call.provider,
        "model": call.model,
        "upper_bound": str(call.upper_bound),
        "since": call.since.isoformat(),
    }


def _table(config: Config, calls: Calls) -> Table:
    table = Table(box=SIMPLE, pad_edge=False)
    for heading in ("task", "request id", "model", "since"):
        table.add_column(heading, no_wrap=True)
    table.add_column("at most", justify="right", no_wrap=True)
    for task, found in calls.items():
        currency = config.task(task).budget.currency
        for call in found:
            model = f"{call.provider} {call.model}"
            table.add_row(task, Text(call.request_id), model, moment(call.since), money(call.upper_bound, currency))
    return table
