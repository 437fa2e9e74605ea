"""What a worker holds after many requests of one task: memory, latency, and the state that a rollover carries over.

    python -m benchmarks.memory [--callers 32] [--upto 1000,10000,50000,100000]

The task lives a whole life: it collects, is trained, takes over, is checked by samples. Its models answer at once.
Memory is the resident size of the worker process, from /proc (Linux only); a training job runs in a process of its own.
"""

import argparse
import asyncio
import random
import statistics
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from apprentice.settings import TaskSettings
from benchmarks.worker_process import QUEUE, worker_process
from client import Apprentice
from workers.dev_server import dev_server
from workflows.ids import lifecycle_id

WORDS = ("invoice", "parcel", "password", "refund", "courier", "login")
MIB = 1024 * 1024


def settings(folder: Path) -> TaskSettings:
    """A task that sixty examples bring to its first fine-tune; all else is default."""
    return TaskSettings.model_validate(
        {
            "name": "memory",
            "input_schema": {"text": "str"},
            "output_schema": {"category": ["billing", "shipping", "account"]},
            "confidence_thresholds": {"phase1_to_phase2": 60},
            "remote": {
                "provider": "simulated",
                "model": "instant",
                "price": {"input_per_million": "3", "output_per_million": "15"},
                "simulation": {"latency_seconds": 0},
            },
            "local": {"model_dir": str(folder)},
            "budget": {"daily": "1000000"},
        }
    )


def text(rng: random.Random, number: int) -> str:
    """Inputs that are all different, of two words that matter: the simulated teacher hardly cares for long ones."""
    return f"{rng.choice(WORDS)} {rng.choice(WORDS)} reference{number:040}"


async def ask(apprentice: Apprentice, task: str, numbers: range, callers: int) -> list[float]:
    """Ask by `callers` at once; milliseconds of each answer."""
    rng, waiting, took = random.Random(numbers.start), iter(numbers), []

    async def caller() -> None:
        for number in waiting:
            begin = time.perf_counter()
            await apprentice.run(task, {"text": text(rng, number)})
            took.append((time.perf_counter() - begin) * 1000)

    await asyncio.gather(*(caller() for _ in range(callers)))
    return took


def resident(pid: int) -> float:
    """MiB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096 / MIB


async def carried(client: Client, task: str) -> tuple[int, int]:
    """Runs so far; bytes that the last one began with."""
    handle = client.get_workflow_handle(lifecycle_id(task))
    runs = (await client.count_workflows(f"WorkflowId = '{lifecycle_id(task)}'")).count
    async for event in handle.fetch_history_events(page_size=1):
        payloads = event.workflow_execution_started_event_attributes.input.payloads
        return runs, sum(len(payload.data) for payload in payloads)
    return runs, 0


async def main(callers: int, upto: list[int]) -> None:
    console = Console(width=100)
    table = Table("requests", "resident MiB", "p50 ms", "p99 ms", "requests/s", "runs", "carried over KiB")
    with tempfile.TemporaryDirectory() as name:
        task = settings(Path(name))
        async with dev_server(fresh=True) as server, worker_process(server.address, Path(name)) as process:
            client = await Client.connect(server.address, data_converter=pydantic_data_converter)
            apprentice = Apprentice(client, task_queue=QUEUE, concurrency=callers)
            await apprentice.apply(task)
            for begin, end in zip([0, *upto], upto, strict=False):
                started = time.perf_counter()
                took = await ask(apprentice, task.name, range(begin, end), callers)
                seconds = time.perf_counter() - started
                cuts = statistics.quantiles(took, n=100)
                runs, size = await carried(client, task.name)
                row = (f"{end:,}", f"{resident(process.pid):.0f}", f"{cuts[49]:.1f}", f"{cuts[98]:.1f}")
                table.add_row(*row, f"{len(took) / seconds:.0f}", str(runs), f"{size / 1024:.1f}")
                console.print(" ".join(row), highlight=False)
            status = await apprentice.status(task.name)
    console.print(table)
    console.print(
        f"{callers} callers; in the end phase {int(status.phase)}, {len(status.versions)} fine-tunes, "
        f"{status.local_share:.0%} served locally"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--callers", type=int, default=32)
    parser.add_argument("--upto", default="1000,10000,50000,100000", help="requests after which to look")
    given = parser.parse_args()
    asyncio.run(main(given.callers, [int(number) for number in given.upto.split(",")]))
