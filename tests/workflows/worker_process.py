"""A worker as a process of its own, to be killed: `python -m tests.workflows.worker_process ADDRESS STORE QUEUE`.

With `--die-after NAME` it kills itself (SIGKILL) the first time that the journal has committed the operation NAME,
before anyone is told of it; with `--die-in-rollback` the first time that it tries a version for a rollback. With
`--events-a-run N` a run of a workflow is that long at most, not 10,000 events.
"""

import argparse
import asyncio
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from activities.store.batches import Batches
from activities.store.journal import Journal
from activities.training.holdout import HoldOut
from apprentice.messages import Comparison, ValidationRequest
from apprentice.settings import TaskSettings
from workers.worker import worker
from workflows import task_lifecycle

ROOT = Path(__file__).parents[2]


@dataclass
class WorkerProcess:
    """Starts and kills worker processes; none outlives the block. `log` is where they write what they have to say."""

    address: str
    store_url: str
    task_queue: str
    log: Path
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, *options: str) -> subprocess.Popen[bytes]:
        """One more worker."""
        command = [
            sys.executable,
            "-m",
            "tests.workflows.worker_process",
            self.address,
            self.store_url,
            self.task_queue,
        ]
        with self.log.open("ab") as log:
            process = subprocess.Popen([*command, *options], cwd=ROOT, stdout=log, stderr=log)
        self.running.append(process)
        return process

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """kill -9."""
        process.kill()
        process.wait()
        self.running.remove(process)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self.running[:]:
            self.kill(process)


def die_after(name: str) -> None:
    """Let this process die right after the first commit of that operation."""
    operation = getattr(Journal, name)

    @wraps(operation)
    async def last(*arguments: Any, **named: Any) -> Any:
        await operation(*arguments, **named)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(Journal, name, last)


def die_around(name: str) -> None:
    """Let this process die around the sending of a batch: after the intents, or before its name is written."""
    place, before = (Batches, True) if name == "sent" else (Journal, False)
    operation = getattr(place, name)

    @wraps(operation)
    async def last(*arguments: Any, **named: Any) -> Any:
        if not before:
            await operation(*arguments, **named)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(place, name, last)


def die_in_rollback() -> None:
    """Let this process die while it asks a version that is to serve again."""
    comparisons = HoldOut.comparisons

    async def last(self: HoldOut, settings: TaskSettings, request: ValidationRequest, version: int) -> list[Comparison]:
        if request.newest is not None:
            os.kill(os.getpid(), signal.SIGKILL)
        return await comparisons(self, settings, request, version)

    HoldOut.comparisons = last  # type: ignore[method-assign]


async def run(address: str, store_url: str, task_queue: str) -> None:
    """Work until killed."""
    client = await Client.connect(address, data_converter=pydantic_data_converter)
    async with worker(client, store_url, task_queue):
        await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("store_url")
    parser.add_argument("task_queue")
    parser.add_argument("--die-after")
    parser.add_argument("--die-around", choices=["intend_beside", "sent"])
    parser.add_argument("--die-in-rollback", action="store_true")
    parser.add_argument("--events-a-run", type=int)
    options = parser.parse_args()
    if options.events_a_run:
        task_lifecycle.EVENTS_A_RUN = options.events_a_run
    if options.die_after:
        die_after(options.die_after)
    if options.die_around:
        die_around(options.die_around)
    if options.die_in_rollback:
        die_in_rollback()
    asyncio.run(run(options.address, options.store_url, options.task_queue))
