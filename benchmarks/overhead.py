"""What a request costs besides the models: requests a second and latency, beside the floor of the same run.

    python -m benchmarks.overhead [--callers 1,8,32,128] [--rounds 3] [--examples 1000,100000,1000000]

The models answer at once, so all that is left is ours, the SDK's and the server's. Server, worker and callers are three
processes on this machine. Every figure is the median of the rounds, in which floor and paths take turns; the ratio is
the median of the rounds' ratios. An absolute time says little on a shared machine, a ratio says more.
"""

import argparse
import asyncio
import os
import random
import sqlite3
import statistics
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from rich.console import Console
from rich.table import Table
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from activities.local.embedded.student import Student
from activities.local.model import version_dir
from activities.store import Store
from apprentice.datasets import input_hash
from apprentice.messages import Phase
from apprentice.settings import TaskSettings
from apprentice.state import LifecycleState
from benchmarks.floor import FloorWorkflow
from benchmarks.load import Ask, Measured, measure, settings, start
from benchmarks.worker_process import FLOOR_QUEUE, QUEUE, worker_process
from client import Apprentice
from client.cli.generated_tickets import generate
from workers.dev_server import dev_server

# Requests of one round, by callers: three to eight seconds each.
REQUESTS = {1: 60, 8: 400, 32: 1000, 128: 1500}


async def paths(apprentice: Apprentice, folder: Path) -> dict[str, Ask]:
    """Floor, local path (phase 3), remote path (phase 1), coached path (phase 2: both, and the comparison)."""
    rows = list(generate(600, random.Random(0)))
    trained = Student.fit(
        [r["input"] for r in rows], [r["output"] for r in rows], {"category": "str", "priority": "int"}, 0
    )
    ways: dict[str, Ask] = {}
    floor = f"floor-{uuid4()}"
    handle = await apprentice.client.start_workflow(FloorWorkflow.run, id=floor, task_queue=FLOOR_QUEUE)
    ways["floor"] = lambda text: handle.execute_update(FloorWorkflow.submit, {"text": text})
    for path, phase in (("local", Phase.AUTONOMOUS), ("remote", Phase.COLLECTING), ("coached", Phase.COACHING)):
        task = settings(f"overhead_{path}", folder)
        trained.save(version_dir(task, 1))
        version = None if phase is Phase.COLLECTING else 1
        state = LifecycleState(phase=phase, version=version, rate=1e-9, defer_below=0.0)
        ways[path] = await start(apprentice, task, state)
    return ways


async def compare(ways: dict[str, Ask], numbers: list[int], rounds: int, console: Console) -> None:
    """Floor and paths in turn, by number of callers."""
    table = Table("callers", "path", "requests/s", "p50 ms", "p99 ms", "of the floor", title="overhead")
    for ask in ways.values():
        await measure(ask, 4, 40, random.Random(1))  # the first requests load the model and fill caches
    for callers in numbers:
        requests = REQUESTS.get(callers, 15 * callers)
        seen: dict[str, list[Measured]] = {path: [] for path in ways}
        for number in range(rounds):
            for path, ask in ways.items():
                seen[path].append(await measure(ask, callers, requests, random.Random(number)))
        for path, results in seen.items():
            ratio = statistics.median(ours.rate / bare.rate for ours, bare in zip(results, seen["floor"], strict=True))
            rate, p50, p99 = (statistics.median(column) for column in zip(*results, strict=True))
            table.add_row(str(callers), path, f"{rate:.0f}", f"{p50:.1f}", f"{p99:.1f}", f"{ratio:.2f}")
    console.print(table)


async def fill(file: Path, task: TaskSettings, rows: int) -> None:
    """Put examples into the store, as many as are missing to `rows`."""
    async with await Store.open(f"sqlite:///{file}"):
        pass
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
    with sqlite3.connect(file, timeout=60) as database:
        (have,) = database.execute("SELECT COUNT(*) FROM examples WHERE task = ?", (task.name,)).fetchone()
        database.executemany(
            "INSERT INTO examples (task, schema_version, request_id, input_hash, split, input, output, provider, model,"
            " fair, created_at) VALUES (?, 1, ?, ?, 'train', ?, '{\"category\": \"a\"}', 'simulated', 'instant', 1, ?)",
            (
                (task.name, f"old-{n}", input_hash({"text": f"old {n}"}), f'{{"text": "old {n}"}}', now)
                for n in range(have, rows)
            ),
        )
        last = database.execute("SELECT MAX(id) FROM examples").fetchone()[0]
        database.execute(
            "INSERT OR REPLACE INTO datasets (task, schema_version, last_id, train, holdout) VALUES (?, 1, ?, ?, 0)",
            (task.name, last, rows),
        )


async def grow(
    apprentice: Apprentice, ways: dict[str, Ask], folder: Path, sizes: list[int], rounds: int, console: Console
) -> None:
    """The remote path, which writes an example a request, over a growing store; the floor beside it."""
    table = Table("examples", "requests/s", "p50 ms", "p99 ms", "of the floor", title="8 callers, by stored examples")
    task = settings("overhead_growing", folder)
    ask = await start(apprentice, task, LifecycleState())
    for size in sizes:
        await fill(folder / "store.db", task, size)
        ours, bare = [], []
        for number in range(rounds):
            bare.append(await measure(ways["floor"], 8, REQUESTS[8], random.Random(number)))
            ours.append(await measure(ask, 8, REQUESTS[8], random.Random(size + number)))
        ratio = statistics.median(mine.rate / floor.rate for mine, floor in zip(ours, bare, strict=True))
        rate, p50, p99 = (statistics.median(column) for column in zip(*ours, strict=True))
        table.add_row(f"{size:,}", f"{rate:.0f}", f"{p50:.1f}", f"{p99:.1f}", f"{ratio:.2f}")
    console.print(table)


async def main(callers: list[int], rounds: int, sizes: list[int]) -> None:
    console = Console(width=100)
    console.print(
        f"python {sys.version.split()[0]}, {os.cpu_count()} cores, {rounds} rounds, embedded model, SQLite store"
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with dev_server(fresh=True) as server, worker_process(server.address, folder):
            client = await Client.connect(server.address, data_converter=pydantic_data_converter)
            apprentice = Apprentice(client, task_queue=QUEUE, concurrency=max(8, *callers))
            ways = await paths(apprentice, folder)
            await compare(ways, callers, rounds, console)
            if sizes:
                await grow(apprentice, ways, folder, sizes, rounds, console)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--callers", default="1,8,32,128", help="numbers of callers")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--examples", default="1000,100000,1000000", help="sizes of the store, growing; may be empty")
    given = parser.parse_args()
    counts, stored = ([int(number) for number in text.split(",") if number] for text in (given.callers, given.examples))
    asyncio.run(main(counts, given.rounds, stored))
