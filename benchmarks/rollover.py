"""How long a request waits when the workflow continues as new under load.

    python -m benchmarks.rollover [--callers 32] [--call-seconds 0,0.2] [--rollovers 10] [--updates-a-run 300]

For each rollover: the longest wait among the requests that were under way at that moment, the slowest call that the
closing run still had in flight (from its history), and what the rollover added: the wait less that call, less the p50
of the requests that met no rollover, as every request has its own call too. With `--updates-a-run 0` runs are as long
as in production. Every request is answered, or this fails.
"""

import argparse
import asyncio
import random
import statistics
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowExecution
from temporalio.contrib.pydantic import pydantic_data_converter

from apprentice.state import LifecycleState
from benchmarks.load import settings, start
from benchmarks.worker_process import QUEUE, worker_process
from client import Apprentice
from client.cli.generated_tickets import generate
from workers import dev_server as servers
from workflows.ids import lifecycle_id
from workflows.task_lifecycle import UPDATES_A_RUN

SUGGEST = "limit.historyCount.suggestContinueAsNew"


class Request(NamedTuple):
    """Seconds since the epoch."""

    begin: float
    end: float

    @property
    def wait(self) -> float:
        return self.end - self.begin


async def load(apprentice: Apprentice, task: str, callers: int, requests: int) -> list[Request]:
    """Ask by `callers` that each wait for an answer before the next."""
    waiting, answered = iter([row["input"] for row in generate(requests, random.Random(0))]), []

    async def caller() -> None:
        for input in waiting:
            begin = time.time()
            await apprentice.run(task, input)
            answered.append(Request(begin, time.time()))

    await asyncio.gather(*(caller() for _ in range(callers)))
    return answered


async def slowest_in_flight(client: Client, run: WorkflowExecution, callers: int) -> float:
    """Seconds of the slowest among the last calls of the run: as many as there are callers."""
    accepted: dict[int, float] = {}
    took = []
    async for event in client.get_workflow_handle(run.id, run_id=run.run_id).fetch_history_events():
        at = event.event_time.ToMicroseconds() / 1e6
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED:
            accepted[event.event_id] = at
        elif event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_COMPLETED:
            began = event.workflow_execution_update_completed_event_attributes.accepted_event_id
            took.append(at - accepted[began])
    return max(took[-callers:])


async def measure(apprentice: Apprentice, folder: Path, callers: int, call_seconds: float, requests: int) -> Table:
    """One task, from its first request on."""
    task = settings(f"rollover_{round(1000 * call_seconds)}ms", folder, call_seconds)
    await start(apprentice, task, LifecycleState())
    await load(apprentice, task.name, callers, 2 * callers)  # the worker starts, caches fill
    answered = await load(apprentice, task.name, callers, requests)
    ended = [run async for run in apprentice.client.list_workflows(f"WorkflowId = '{lifecycle_id(task.name)}'")]
    title = f"{callers} callers, calls of {call_seconds:g} s, {len(answered):,} requests"
    met: set[Request] = set()
    rows = []
    for run in sorted(ended, key=lambda run: run.start_time):
        under_way = [r for r in answered if run.close_time and r.begin <= run.close_time.timestamp() <= r.end]
        if under_way:
            met.update(under_way)
            rows.append((max(r.wait for r in under_way), await slowest_in_flight(apprentice.client, run, callers)))
    others = statistics.quantiles([r.wait for r in answered if r not in met], n=100)
    title = f"{callers} callers, calls of {call_seconds:g} s, {len(answered):,} requests"
    table = Table("rollover", "longest wait s", "slowest in flight s", "added s", title=title)
    added = [longest - slowest - others[49] for longest, slowest in rows]
    for number, ((longest, slowest), more) in enumerate(zip(rows, added, strict=True), 1):
        table.add_row(str(number), f"{longest:.2f}", f"{slowest:.2f}", f"{more:.2f}")
    table.caption = (
        f"added: median {statistics.median(added):.2f} s, most {max(added):.2f} s; "
        f"without a rollover p50 {others[49]:.2f} s, p99 {others[98]:.2f} s"
    )
    return table


async def main(callers: int, calls: list[float], rollovers: int, updates_a_run: int) -> None:
    if updates_a_run:
        servers.DYNAMIC_CONFIG[SUGGEST] = str(updates_a_run)  # fewer events than that many requests have
    console = Console(width=100)
    with tempfile.TemporaryDirectory() as name:
        async with (
            servers.dev_server(fresh=True) as server,
            worker_process(server.address, Path(name), updates_a_run or None),
        ):
            client = await Client.connect(server.address, data_converter=pydantic_data_converter)
            apprentice = Apprentice(client, task_queue=QUEUE, concurrency=callers)
            requests = rollovers * (updates_a_run or UPDATES_A_RUN) + callers
            for call_seconds in calls:
                console.print(await measure(apprentice, Path(name), callers, call_seconds, requests))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--callers", type=int, default=32)
    parser.add_argument("--call-seconds", default="0,0.2", help="how long each call takes")
    parser.add_argument("--rollovers", type=int, default=10, help="at least so many for each")
    parser.add_argument("--updates-a-run", type=int, default=300, help="requests until a run ends; 0: as in production")
    given = parser.parse_args()
    seconds = [float(number) for number in given.call_seconds.split(",")]
    asyncio.run(main(given.callers, seconds, given.rollovers, given.updates_a_run))
