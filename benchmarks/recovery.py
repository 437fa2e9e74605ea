"""How long callers wait when a worker is killed (kill -9) under load.

    python -m benchmarks.recovery [--kills 20] [--callers 16] [--call-seconds 0.2] [--workers 2,1]

With two workers, one is killed and started again after the callers have their answers; with one, it is started again at
once. Per kill: until every request that was in flight at that moment had its answer, and the longest time in which no
request was answered. Half of the requests ask the remote model, half the local one.
"""

import argparse
import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count, pairwise
from pathlib import Path

from rich.console import Console
from rich.table import Table
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from activities.local.embedded.student import Student
from activities.local.model import version_dir
from apprentice.messages import Phase
from apprentice.state import LifecycleState
from benchmarks.load import Ask, settings, start
from benchmarks.worker_process import QUEUE, spawn
from client import Apprentice
from client.cli.generated_tickets import generate
from workers.dev_server import dev_server

SETTLED = 3.0  # seconds of load before a kill, and the least after a recovery


@dataclass
class Load:
    """Requests without end. `under_way` holds when each began, `answered` the moments of the answers."""

    asks: list[Ask]
    rng: random.Random
    under_way: dict[int, float] = field(default_factory=dict)
    answered: list[float] = field(default_factory=list)
    stopped: bool = False

    async def run(self, callers: int) -> None:
        """Until stopped."""
        numbers, rows = count(), generate(10**9, self.rng)

        async def caller() -> None:
            while not self.stopped:
                number, row = next(numbers), next(rows)
                self.under_way[number] = time.monotonic()
                await self.asks[number % len(self.asks)](row["input"]["text"])
                del self.under_way[number]
                self.answered.append(time.monotonic())

        await asyncio.gather(*(caller() for _ in range(callers)))

    async def cleared(self, numbers: set[int]) -> None:
        """Return when these have their answers."""
        while self.under_way.keys() & numbers:  # noqa: ASYNC110 - polled, as the load goes on all the while
            await asyncio.sleep(0.01)

    def longest_gap(self, since: float) -> float:
        """Seconds without an answer, from `since` on."""
        moments = [since, *(moment for moment in self.answered if moment > since)]
        return max(after - before for before, after in pairwise(moments))


async def tasks(apprentice: Apprentice, folder: Path, call_seconds: float) -> list[Ask]:
    """A task that asks the remote model, and one whose local model serves."""
    rows = list(generate(600, random.Random(0)))
    schema = {"category": "str", "priority": "int"}
    remote, local = (settings(f"recovery_{path}", folder, call_seconds) for path in ("remote", "local"))
    Student.fit([r["input"] for r in rows], [r["output"] for r in rows], schema, 0).save(version_dir(local, 1))
    serving = LifecycleState(phase=Phase.AUTONOMOUS, version=1, rate=1e-9, defer_below=0.0)
    return [await start(apprentice, remote, LifecycleState()), await start(apprentice, local, serving)]


@asynccontextmanager
async def workers(address: str, folder: Path, number: int) -> AsyncIterator[list[asyncio.subprocess.Process]]:
    """So many worker processes; those that are in the list in the end are ended."""
    running = [await spawn(address, folder) for _ in range(number)]
    try:
        yield running
    finally:
        for process in running:
            process.kill()
            await process.wait()


async def kill_one(load: Load, running: list[asyncio.subprocess.Process], address: str, folder: Path) -> float:
    """Seconds until all that was in flight had been answered; a new worker is in the dead one's place afterwards."""
    alone = len(running) == 1
    process = running.pop(0)
    process.kill()
    killed, in_flight = time.monotonic(), set(load.under_way)
    await process.wait()
    if alone:
        running.append(await spawn(address, folder))
    await load.cleared(in_flight)
    took = time.monotonic() - killed
    if not alone:
        running.append(await spawn(address, folder))
    return took


async def measure(number: int, kills: int, callers: int, call_seconds: float, console: Console) -> tuple[str, ...]:
    """One row."""
    rng, recoveries, gaps = random.Random(number), list[float](), list[float]()
    with tempfile.TemporaryDirectory() as name:
        async with dev_server(fresh=True) as server, workers(server.address, Path(name), number) as running:
            client = await Client.connect(server.address, data_converter=pydantic_data_converter)
            apprentice = Apprentice(client, task_queue=QUEUE, concurrency=callers)
            load = Load(await tasks(apprentice, Path(name), call_seconds), rng)
            under_way = asyncio.create_task(load.run(callers))
            for kill in range(kills):
                await asyncio.sleep(SETTLED + rng.random())
                killed = time.monotonic()
                recoveries.append(await kill_one(load, running, server.address, Path(name)))
                await asyncio.sleep(SETTLED)
                gaps.append(load.longest_gap(killed))
                console.print(f"{number} workers, kill {kill + 1}: {recoveries[-1]:.1f} s, gap {gaps[-1]:.1f} s")
            load.stopped = True
            await under_way
    figures = (statistics.median(recoveries), max(recoveries), statistics.median(gaps), max(gaps))
    return str(number), str(kills), f"{len(load.answered):,}", *(f"{seconds:.1f}" for seconds in figures)


async def main(kills: int, callers: int, call_seconds: float, numbers: list[int]) -> None:
    console = Console(width=110)
    table = Table("workers", "kills", "requests", "recovery s", "worst", "longest gap s", "worst", title="kill -9")
    for number in numbers:
        table.add_row(*await measure(number, kills, callers, call_seconds, console))
    console.print(table)
    console.print(f"{callers} callers, calls of {call_seconds:g} s; medians; every request was answered")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--callers", type=int, default=16)
    parser.add_argument("--call-seconds", type=float, default=0.2, help="how long a remote call takes")
    parser.add_argument("--workers", default="2,1", help="numbers of workers")
    given = parser.parse_args()
    counts = [int(number) for number in given.workers.split(",")]
    asyncio.run(main(given.kills, given.callers, given.call_seconds, counts))
