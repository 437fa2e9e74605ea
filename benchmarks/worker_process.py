"""A worker in a process of its own, for the floor and for us alike; it can be looked at, and killed."""

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Worker

from benchmarks.floor import FloorWorkflow, echo
from workers.worker import worker
from workflows import task_lifecycle

QUEUE, FLOOR_QUEUE = "benchmark", "floor"


async def spawn(address: str, folder: Path, updates_a_run: int | None = None) -> asyncio.subprocess.Process:
    """Start a worker over the store in `folder`. `updates_a_run`: roll over as soon as this many requests came."""
    command = ["-m", "benchmarks.worker_process", address, str(folder)]
    command += ["--updates-a-run", str(updates_a_run)] if updates_a_run else []
    return await asyncio.create_subprocess_exec(sys.executable, *command)


@asynccontextmanager
async def worker_process(
    address: str, folder: Path, updates_a_run: int | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A worker process that ends with the block."""
    process = await spawn(address, folder, updates_a_run)
    try:
        yield process
    finally:
        process.terminate()
        await process.wait()


async def work(address: str, folder: Path) -> None:
    """Work until killed."""
    client = await Client.connect(address, data_converter=pydantic_data_converter)
    floor = Worker(client, task_queue=FLOOR_QUEUE, workflows=[FloorWorkflow], activities=[echo])
    async with floor, worker(client, f"sqlite:///{folder}/store.db", QUEUE):
        await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--updates-a-run", type=int)
    given = parser.parse_args()
    if given.updates_a_run:
        task_lifecycle.UPDATES_A_RUN = given.updates_a_run
    asyncio.run(work(given.address, given.folder))
