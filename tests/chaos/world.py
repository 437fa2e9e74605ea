"""Everything that runs: Temporal on a file, two workers, the provider, the store. All can be broken and mended."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from apprentice.settings import BudgetSettings, TaskSettings
from client import Apprentice
from tests.chaos.stores import StoreUnderTest
from tests.fakes.provider.process import FakeProvider
from tests.workflows.worker_process import WorkerProcess
from workers import dev_server
from workers.dev_server import DevServer
from workers.temporal_binary import find_binary

TEND_SECONDS = 0.25


@dataclass
class World:
    """`wanted` workers run, unless one has just died: a supervisor starts another, as it does everywhere."""

    folder: Path
    store: StoreUnderTest
    provider: FakeProvider
    server: DevServer
    processes: WorkerProcess
    apprentice: Apprentice
    task: str
    options: list[str]
    wanted: int = 2
    frozen: set[int] = field(default_factory=set)
    exits: list[int] = field(default_factory=list)

    @property
    def pids(self) -> list[int]:
        """Of the workers that run."""
        return [process.pid for process in self.processes.running]

    def start_workers(self) -> None:
        """As many as are wanted."""
        while len(self.processes.running) < self.wanted:
            self.processes.start(*self.options)

    async def tend(self) -> None:
        """Start another worker for one that ended by itself. Runs until cancelled."""
        while True:
            for process in self.processes.running[:]:
                if (code := process.poll()) is not None:
                    self.processes.running.remove(process)
                    self.exits.append(code)
            self.start_workers()
            await asyncio.sleep(TEND_SECONDS)

    def kill_worker(self, which: int) -> None:
        """kill -9."""
        if self.processes.running:
            process = self.processes.running[which % len(self.processes.running)]
            self.frozen.discard(process.pid)
            self.processes.kill(process)

    def freeze_worker(self, which: int) -> None:
        """It does nothing, and does not know it: the work of a dead worker may still come from it later."""
        if self.processes.running:
            process = self.processes.running[which % len(self.processes.running)]
            process.send_signal(signal.SIGSTOP)
            self.frozen.add(process.pid)

    def thaw(self) -> None:
        for process in self.processes.running:
            if process.pid in self.frozen:
                process.send_signal(signal.SIGCONT)
        self.frozen.clear()

    async def kill_server(self) -> None:
        """kill -9 of Temporal; its state is in a file."""
        assert self.server.process is not None
        self.server.process.kill()
        await asyncio.to_thread(self.server.process.wait)
        await asyncio.to_thread(dev_server.stop, self.server)

    async def start_server(self) -> None:
        """Temporal again, on the same file and port."""
        port = int(self.server.address.rpartition(":")[2])
        self.server = await dev_server.start(find_binary(), self.folder / "temporal.db", port, None)


@asynccontextmanager
async def world(
    folder: Path,
    store: StoreUnderTest,
    settings: TaskSettings,
    budget: BudgetSettings,
    *,
    latency: float,
    events_a_run: int | None,
    idempotent: bool,
) -> AsyncIterator[World]:
    """A world with this task in it, under this budget for all tasks. Nothing of it outlives the block."""
    options = [] if events_a_run is None else ["--events-a-run", str(events_a_run)]
    # A workflow rolls over once the server suggests it, at 4,096 events; for less, both have to be told.
    sooner = {} if events_a_run is None else {"limit.historyCount.suggestContinueAsNew": str(events_a_run // 2)}
    with (
        FakeProvider(latency=latency, idempotent=idempotent) as provider,
        patch.dict(dev_server.DYNAMIC_CONFIG, sooner),
    ):
        remote = settings.remote.model_copy(update={"base_url": provider.url(settings.remote.provider)})
        settings = settings.model_copy(update={"remote": remote})
        await store.start()
        server = await dev_server.start(find_binary(), folder / "temporal.db", None, None)
        queue = f"queue-{settings.name}"
        client = await Client.connect(server.address, data_converter=pydantic_data_converter)
        apprentice = Apprentice(client, task_queue=queue, concurrency=1000)
        with WorkerProcess(server.address, store.url, queue, folder / "worker.log") as processes:
            made = World(folder, store, provider, server, processes, apprentice, settings.name, options)
            made.start_workers()
            tending = asyncio.create_task(made.tend())
            try:
                await apprentice.apply_budget(budget)
                await apprentice.apply(settings)
                yield made
            finally:
                tending.cancel()
                with suppress(asyncio.CancelledError):
                    await tending
                made.thaw()
                for process in processes.running[:]:
                    processes.kill(process)
                await store.close()
                await asyncio.to_thread(dev_server.stop, made.server)
