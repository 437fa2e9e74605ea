"""An allowance of remote calls is neither passed nor miscounted, though the worker is killed (kill -9) all the time."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from apprentice.messages import ForceRemote, Source
from tests.fakes.provider.process import FakeProvider
from tests.workflows.conftest import SettingsOf
from tests.workflows.test_crash import Load, applied, calls, check_books, slow_teacher, workers
from tests.workflows.traffic import QUICK, settled
from tests.workflows.worker_process import WorkerProcess
from workers.dev_server import DevServer

pytestmark = [pytest.mark.crash, pytest.mark.slow, pytest.mark.timeout(400)]

ALLOWED = 110
ALLOWANCE = {"remote_calls": ALLOWED, "period": "monthly"}
TAUGHT, AFTERWARDS = 60, 120
"""Requests until there is a version, and then, more than there are calls left for."""


@asynccontextmanager
async def killed(load: Load, processes: WorkerProcess, answers: list[int]) -> AsyncIterator[list[int]]:
    """kill -9 the only worker some time after so many answers each; yields what the count was after each kill."""
    rng, counts = random.Random(5), list[int]()

    async def kill() -> None:
        for count in answers:
            await load.until(count)
            await asyncio.sleep(rng.uniform(0.0, 0.3))
            processes.kill(processes.running[0])
            processes.start()
            allowance = (await load.apprentice.status(load.task)).allowance
            assert allowance is not None
            counts.append(allowance.taken)

    killing = asyncio.create_task(kill())
    yield counts
    await killing


async def test_the_calls_of_an_allowance_are_counted_once_each_whatever_is_killed(
    server: DevServer, settings_of: SettingsOf, tmp_path: Path
) -> None:
    """First while all requests go to the remote model, then while the last calls are taken by 16 requests at once."""
    settings = slow_teacher(settings_of, allowance=ALLOWANCE)
    async with applied(server, settings) as load:
        with workers(server, settings, tmp_path) as processes:
            processes.start()
            async with killed(load, processes, [10, 35]) as early:
                await load.run(TAUGHT)
            first = await settled(load.apprentice, settings.name)
            assert first.allowance is not None
            assert first.allowance.taken == len(calls(tmp_path)) == TAUGHT
            await load.apprentice.operate(settings.name, ForceRemote())
            async with killed(load, processes, [TAUGHT + 15, TAUGHT + 40, TAUGHT + 80]) as late:
                await load.run(AFTERWARDS, first=TAUGHT)
            status = await settled(load.apprentice, settings.name)
            await check_books(load, status, tmp_path, requests=TAUGHT + AFTERWARDS)
    remote = [row for row in calls(tmp_path) if row["role"] == Source.REMOTE]
    served = Counter(result.trace.served_by for result in load.results.values())
    assert status.allowance is not None
    assert status.allowance.taken == len(remote) == served[Source.REMOTE] == ALLOWED
    assert all(0 < count <= ALLOWED for count in early + late)
    print("calls counted after each kill:", early, late)


async def test_free_calls_that_nobody_may_send_again_are_counted_though_their_answers_are_lost(
    server: DevServer, settings_of: SettingsOf, tmp_path: Path
) -> None:
    """Of a call that was in flight at a kill nobody knows whether it was made: it is not made again, and counts."""
    with FakeProvider(latency=0.2, idempotent=False) as provider:
        remote = {"provider": "openai_compatible", "model": "free", "price": {"per_request": "0"}}
        remote |= {"base_url": provider.url("openai_compatible")}
        settings = settings_of(**QUICK | {"remote": remote, "name": "tickets"}, allowance=ALLOWANCE)
        async with applied(server, settings) as load:
            with workers(server, settings, tmp_path) as processes:
                processes.start()
                await load.run(TAUGHT)
                assert (await settled(load.apprentice, settings.name)).version == 1
                await load.apprentice.operate(settings.name, ForceRemote())
                async with killed(load, processes, [TAUGHT + 10, TAUGHT + 30]) as counts:
                    await load.run(AFTERWARDS, first=TAUGHT)
                status = await settled(load.apprentice, settings.name)
        made = len(provider.bill())
    states = Counter(row["state"] for row in calls(tmp_path) if row["role"] == Source.REMOTE)
    assert len(load.results) == status.requests == TAUGHT + AFTERWARDS
    assert states["intent"] > 0, "no call was in flight at a kill"
    assert status.allowance is not None
    assert made <= states.total() == status.allowance.taken == ALLOWED
    assert all(0 < count <= ALLOWED for count in counts)
    print("what became of the calls:", states, "of which the provider processed", made)
