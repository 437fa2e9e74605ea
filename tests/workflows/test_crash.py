"""Nothing lost, nothing paid twice: worker and server are killed (kill -9) in the middle of the work."""

import asyncio
import random
import sqlite3
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import pytest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from activities.store import Store
from activities.training.folder_jobs import folder_of
from apprentice.messages import Retrain, Rollback, Source, TaskResult, TaskStatus
from apprentice.settings import TaskSettings
from client import Apprentice
from tests.workflows.conftest import SettingsOf
from tests.workflows.traffic import QUICK, send, settled, teach, tickets
from tests.workflows.worker_process import WorkerProcess
from workers import dev_server as servers
from workers.dev_server import DevServer, dev_server

pytestmark = [pytest.mark.crash, pytest.mark.slow, pytest.mark.timeout(400)]

REQUESTS = 300
AT_ONCE = 16
DEADLINE = 180.0


@dataclass
class Load:
    """Requests under way. `answered` holds the moments at which answers came, `results` the answers by request id."""

    apprentice: Apprentice
    task: str
    results: dict[str, TaskResult] = field(default_factory=dict)
    answered: list[float] = field(default_factory=list)

    async def run(self, requests: int = REQUESTS, at_once: int = AT_ONCE, first: int = 0) -> None:
        """Send all, numbered from `first`; an answer that comes twice, or an error, ends the test."""
        slots = asyncio.Semaphore(at_once)

        async def one(number: int, input: dict[str, str]) -> None:
            request_id = f"r-{number}"
            async with slots:
                result = await self.apprentice.run(self.task, input, request_id=request_id, deadline=DEADLINE)
            assert request_id not in self.results
            self.results[request_id] = result
            self.answered.append(time.monotonic())

        inputs = tickets(requests, first=first)
        await asyncio.gather(*(one(number, input) for number, input in enumerate(inputs, first)))

    async def until(self, answers: int) -> None:
        """Return when this many have been answered."""
        while len(self.results) < answers:  # noqa: ASYNC110 - polled, as the load goes on all the while
            await asyncio.sleep(0.02)

    def pause_after(self, moment: float) -> float:
        """Seconds from `moment` to the next answer."""
        return min(answer for answer in self.answered if answer > moment) - moment


@asynccontextmanager
async def applied(server: DevServer, settings: TaskSettings) -> AsyncIterator[Load]:
    """The task, started on that server."""
    client = await Client.connect(server.address, data_converter=pydantic_data_converter)
    apprentice = Apprentice(client, task_queue=f"queue-{settings.name}", concurrency=100)
    await apprentice.apply(settings)
    yield Load(apprentice, settings.name)


@contextmanager
def workers(server: DevServer, settings: TaskSettings, folder: Path) -> Iterator[WorkerProcess]:
    """Worker processes for the task, over one store."""
    store = f"sqlite:///{folder}/store.db"
    with WorkerProcess(server.address, store, f"queue-{settings.name}", folder / "worker.log") as running:
        yield running


def slow_teacher(settings_of: SettingsOf, **overrides: object) -> TaskSettings:
    """A task whose remote model takes about 0.2 s, so that a kill always finds calls in flight."""
    remote = settings_of().remote.model_dump(mode="json") | {"simulation": {"latency_seconds": 0.2}}
    return settings_of(**QUICK | {"remote": remote, "name": "tickets"} | overrides)


def calls(folder: Path) -> list[sqlite3.Row]:
    """The journal, as it lies on the disk."""
    with sqlite3.connect(folder / "store.db") as connection:
        connection.row_factory = sqlite3.Row
        return list(connection.execute("SELECT request_id, role, state, served FROM calls"))


async def check_books(load: Load, status: TaskStatus, folder: Path, requests: int = REQUESTS) -> None:
    """Every request answered once, every call paid once, and all three books say the same."""
    assert sorted(load.results) == sorted(f"r-{number}" for number in range(requests))
    assert status.requests == requests
    assert status.failed == 0
    remote = [result for result in load.results.values() if result.trace.served_by is Source.REMOTE]
    rows = calls(folder)
    paid = Counter(row["request_id"] for row in rows if row["role"] == "remote")
    assert {row["state"] for row in rows} == {"answered"}
    assert set(paid.values()) == {1}
    assert paid.keys() >= {result.request_id for result in remote}
    assert Counter(row["request_id"] for row in rows if row["served"]) == Counter(load.results.keys())
    async with await Store.open(f"sqlite:///{folder}/store.db") as store:
        assert await store.journal.spend(load.task) == status.spend
        assert (await store.journal.unknown(load.task)).calls == 0
        snapshot = await store.examples.snapshot(load.task, 1)
    assert sum((result.trace.cost for result in remote), Decimal(0)) == status.spend
    assert (snapshot.train + snapshot.holdout, snapshot.holdout) == (status.examples, status.holdout)


async def check_resend(load: Load, before: TaskStatus) -> None:
    """Sent again, every request gets the answer that it got, and nothing is counted."""
    inputs = tickets(REQUESTS)
    again = Load(load.apprentice, load.task)
    for number in range(0, REQUESTS, 7):
        result = await again.apprentice.run(
            load.task, inputs[number], request_id=f"r-{number}", attempt=1, deadline=DEADLINE
        )
        assert result.output == load.results[f"r-{number}"].output
        assert result.trace.replayed
    after = await load.apprentice.status(load.task)
    assert (after.requests, after.spend, after.examples) == (before.requests, before.spend, before.examples)


async def test_a_worker_killed_again_and_again_loses_nothing_and_pays_nothing_twice(
    server: DevServer, settings_of: SettingsOf, tmp_path: Path
) -> None:
    settings = slow_teacher(settings_of)
    rng = random.Random(7)
    pauses = []
    async with applied(server, settings) as load:
        with workers(server, settings, tmp_path) as processes:
            process = processes.start()
            under_way = asyncio.create_task(load.run())
            for kill in range(4):
                await load.until(20 + 70 * kill)
                await asyncio.sleep(rng.uniform(0.0, 0.6))
                processes.kill(process)
                restarted = time.monotonic()
                process = processes.start()
                await load.until(len(load.results) + 1)
                pauses.append(load.pause_after(restarted))
            await under_way
            status = await settled(load.apprentice, settings.name)
            await check_books(load, status, tmp_path)
            await check_resend(load, status)
    assert status.version is not None
    assert {version.state for version in status.versions} <= {"promoted", "retired", "rejected"}
    print("seconds from the restart of the only worker to the next answer:", [f"{pause:.1f}" for pause in pauses])
    assert max(pauses) < 30


async def test_a_fine_tune_under_way_at_the_kill_is_finished_afterwards(
    server: DevServer, settings_of: SettingsOf, tmp_path: Path
) -> None:
    settings = slow_teacher(settings_of)
    folder = folder_of(settings, 1)
    order = folder.order_file
    async with applied(server, settings) as load:
        with workers(server, settings, tmp_path) as processes:
            process = processes.start()
            under_way = asyncio.create_task(load.run(61))
            # Its process, not its order: a worker killed between the two has to start it again.
            while await asyncio.to_thread(lambda: folder.process_id) is None:  # noqa: ASYNC110 - another process says it
                await asyncio.sleep(0.01)
            processes.kill(process)
            assert (await asyncio.to_thread(order.read_text)).count('"attempt":1') == 1
            processes.start()
            await under_way
            status = await settled(load.apprentice, settings.name)
    assert [(version.version, version.state) for version in status.versions] == [(1, "promoted")]
    assert '"attempt":1' in order.read_text(), "the job that ran was adopted, not started again"


async def test_with_a_standby_worker_a_kill_is_a_short_pause(
    server: DevServer, settings_of: SettingsOf, tmp_path: Path
) -> None:
    settings = slow_teacher(settings_of)
    rng = random.Random(11)
    pauses = []
    async with applied(server, settings) as load:
        with workers(server, settings, tmp_path) as processes:
            pair = [processes.start(), processes.start()]
            under_way = asyncio.create_task(load.run())
            for kill in range(3):
                await load.until(60 + 60 * kill)
                await asyncio.sleep(rng.uniform(0.0, 0.5))
                killed = time.monotonic()
                processes.kill(pair.pop(0))
                await load.until(len(load.results) + 1)
                pauses.append(load.pause_after(killed))
                pair.append(processes.start())
            await under_way
            status = await settled(load.apprentice, settings.name)
            await check_books(load, status, tmp_path)
    print("seconds from the kill of one of two workers to the next answer:", [f"{pause:.1f}" for pause in pauses])
    assert max(pauses) < 20


async def test_a_server_killed_and_started_again_on_its_file_loses_nothing(
    server: DevServer, settings_of: SettingsOf, tmp_path: Path, temporal_binary: Path
) -> None:
    settings = slow_teacher(settings_of)
    port = int(server.address.rpartition(":")[2])
    async with applied(server, settings) as load:
        with workers(server, settings, tmp_path) as processes:
            processes.start()
            under_way = asyncio.create_task(load.run())
            await load.until(100)
            assert server.process is not None
            server.process.kill()
            await asyncio.to_thread(server.process.wait)
            killed = time.monotonic()
            await asyncio.sleep(1.0)
            async with dev_server(tmp_path / "temporal.db", port, binary=temporal_binary, fresh=True):
                await under_way
                print(f"seconds from the kill of the server to the next answer: {load.pause_after(killed):.1f}")
                status = await settled(load.apprentice, settings.name)
                await check_books(load, status, tmp_path)
                await check_resend(load, status)
                with suppress(ProcessLookupError):
                    await asyncio.to_thread(servers.stop, server)


@pytest.mark.parametrize("operation", ["intend", "answered"])
async def test_a_worker_that_dies_right_after_the_journal_wrote_is_accounted_for_once(
    server: DevServer, settings_of: SettingsOf, tmp_path: Path, operation: str
) -> None:
    """To the retry the journal's answer is news: it costs and teaches. To the same request sent again it is neither."""
    settings = slow_teacher(settings_of, budget={"daily": "10"})
    async with applied(server, settings) as load:
        with workers(server, settings, tmp_path) as processes:
            dying = processes.start("--die-after", operation)
            under_way = asyncio.create_task(load.run(1))
            await asyncio.to_thread(dying.wait)
            processes.running.remove(dying)
            rows = calls(tmp_path)
            assert [row["state"] for row in rows] == ["intent" if operation == "intend" else "answered"]
            processes.start()
            await under_way
            result = load.results["r-0"]
            status = await load.apprentice.status(settings.name)
            await check_books(load, status, tmp_path, requests=1)
            again = await load.apprentice.run(
                settings.name, tickets(1)[0], request_id="r-0", attempt=1, deadline=DEADLINE
            )
            after = await load.apprentice.status(settings.name)
    assert not result.trace.replayed
    assert (status.requests, status.examples, status.spend) == (1, 1, result.trace.cost)
    assert status.caps[0].settled == result.trace.cost > 0
    assert status.caps[0].reserved == 0
    assert again.output == result.output
    assert again.trace.replayed
    assert after.model_dump(exclude={"at", "explanation"}) == status.model_dump(exclude={"at", "explanation"})


async def test_a_worker_that_dies_right_after_a_local_answer_was_served_counts_it_once(
    server: DevServer, settings_of: SettingsOf, tmp_path: Path
) -> None:
    """In phase 3, at a budget of nothing, only the local model answers."""
    settings = slow_teacher(settings_of)
    async with applied(server, settings) as load:
        with workers(server, settings, tmp_path) as processes:
            first = processes.start()
            await load.run(70)
            assert (await settled(load.apprentice, settings.name)).version == 1
            broke = settings.model_copy(update={"budget": settings.budget.model_copy(update={"daily": Decimal(0)})})
            await load.apprentice.apply(broke)
            before = await load.apprentice.status(settings.name)
            processes.kill(first)
            dying = processes.start("--die-after", "served_locally")
            asking = asyncio.create_task(
                load.apprentice.run(settings.name, {"text": "invoice login"}, request_id="x", deadline=DEADLINE)
            )
            await asyncio.to_thread(dying.wait)
            processes.running.remove(dying)
            processes.start()
            result = await asking
            status = await load.apprentice.status(settings.name)
    assert result.degraded
    assert result.trace.served_by is Source.LOCAL
    assert (status.requests, status.local) == (before.requests + 1, before.local + 1)
    assert status.spend == before.spend


async def test_a_worker_killed_in_the_middle_of_a_rollback_rolls_back_when_it_is_started_again(
    server: DevServer, settings_of: SettingsOf, tmp_path: Path
) -> None:
    settings = slow_teacher(settings_of)
    async with applied(server, settings) as load:
        with workers(server, settings, tmp_path) as processes:
            first = processes.start()
            await load.run(70)
            await settled(load.apprentice, settings.name)
            await teach(load.apprentice, settings.name, tickets(10, first=500))
            await load.apprentice.operate(settings.name, Retrain())
            assert (await settled(load.apprentice, settings.name, 2)).version == 2
            dying = processes.start("--die-in-rollback")
            processes.kill(first)
            ordered = asyncio.create_task(load.apprentice.operate(settings.name, Rollback()))
            asked = asyncio.create_task(send(load.apprentice, settings.name, tickets(60, first=1000), at_once=8))
            await asyncio.to_thread(dying.wait)
            processes.running.remove(dying)
            assert not ordered.done()
            processes.start()
            status = await asyncio.wait_for(ordered, DEADLINE)
            results = await asked
            after = await load.apprentice.status(settings.name)
    assert status.version == 1
    assert [(one.version, one.state) for one in status.versions] == [(1, "promoted"), (2, "rejected")]
    assert len(results) == 60
    assert after.failed == 0
    assert {result.trace.version for result in results} <= {None, 1, 2}
    async with await Store.open(f"sqlite:///{tmp_path}/store.db") as store:
        stored = await store.versions.all(settings.name)
        assert await store.journal.spend(settings.name) == after.spend
    assert [(one.version, one.state) for one in stored] == [(1, "promoted"), (2, "rejected")]
