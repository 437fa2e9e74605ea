"""Rolling back on a real server: under load, to a version that cannot serve, beside a promotion."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from activities.local.model import version_dir
from activities.store import Store
from activities.training.holdout import HoldOut
from apprentice.messages import Comparison, Retrain, Rollback, Source, ValidationRequest
from apprentice.settings import TaskSettings
from client import Apprentice, OrderRefused
from tests.conftest import DevEnv
from tests.workflows.conftest import Running, SettingsOf
from tests.workflows.test_replay import replayer
from tests.workflows.traffic import QUICK, send, settled, teach, tickets
from workflows.ids import lifecycle_id

pytestmark = pytest.mark.slow


@asynccontextmanager
async def with_two_versions(running: Running, settings: TaskSettings) -> AsyncIterator[Apprentice]:
    """The task with versions 1 (retired) and 2 (promoted)."""
    async with running(settings) as apprentice:
        await send(apprentice, settings.name, tickets(60))
        await settled(apprentice, settings.name)
        await teach(apprentice, settings.name, tickets(60, first=500))
        await apprentice.operate(settings.name, Retrain())
        assert (await settled(apprentice, settings.name, 2)).version == 2
        yield apprentice


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Versions that are to serve again answer nothing until this is set; other validations go on."""
    comparisons, go_on = HoldOut.comparisons, asyncio.Event()

    async def slow(self: HoldOut, settings: TaskSettings, request: ValidationRequest, version: int) -> list[Comparison]:
        if request.newest is not None:
            await go_on.wait()
        return await comparisons(self, settings, request, version)

    monkeypatch.setattr(HoldOut, "comparisons", slow)
    return go_on


async def test_under_load_no_request_fails_and_the_version_before_serves_from_then_on(
    running: Running, settings_of: SettingsOf, dev_env: DevEnv, tmp_path: Path, held: asyncio.Event
) -> None:
    settings = settings_of(name="rollback_1", **QUICK)
    async with with_two_versions(running, settings) as apprentice:
        ordered = asyncio.create_task(apprentice.operate(settings.name, Rollback()))
        during = await send(apprentice, settings.name, tickets(100, first=2000))
        assert not ordered.done()
        load = asyncio.create_task(send(apprentice, settings.name, tickets(100, first=3000)))
        held.set()
        status = await ordered
        await load
        after = await send(apprentice, settings.name, tickets(40, first=4000))
        final = await apprentice.status(settings.name)
        await replayer().replay_workflow(
            await dev_env.client.get_workflow_handle(lifecycle_id(settings.name)).fetch_history()
        )
    assert {result.trace.version for result in during} <= {None, 2}
    assert {result.trace.version for result in after} <= {None, 1}
    assert status.version == final.version == 1
    assert final.failed == 0
    assert final.requests == 360
    assert [(one.version, one.state) for one in status.versions] == [(1, "promoted"), (2, "rejected")]
    assert status.versions[0].reason.startswith("rolled back to from version 2: hold-out agreement")
    assert status.correlation is not None
    assert status.correlation.n >= 5
    async with await Store.open(f"sqlite:///{tmp_path}/store.db") as store:
        stored = await store.versions.all(settings.name)
    assert [(one.version, one.state) for one in stored] == [(1, "promoted"), (2, "rejected")]


async def test_a_version_that_cannot_serve_is_refused_in_words_and_the_other_goes_on(
    running: Running, settings_of: SettingsOf
) -> None:
    settings = settings_of(name="rollback_2", **QUICK)
    async with with_two_versions(running, settings) as apprentice:
        with pytest.raises(OrderRefused, match="version 7 never served this task with its schema; there is 1"):
            await apprentice.operate(settings.name, Rollback(to=7))
        before = await apprentice.status(settings.name)
        same = await apprentice.operate(settings.name, Rollback(to=2))
        assert same.model_dump(exclude={"at"}) == before.model_dump(exclude={"at"})
    await asyncio.to_thread(shutil.rmtree, version_dir(settings, 1))
    async with running(settings) as apprentice:  # another worker: the first has the version in memory
        with pytest.raises(OrderRefused, match=r"version 1 cannot serve \(ModelUnavailable: .*; version 2 goes on"):
            await apprentice.operate(settings.name, Rollback())
        status = await apprentice.status(settings.name)
        results = await send(apprentice, settings.name, tickets(10, first=2000))
    assert status.version == 2
    assert [one.state for one in status.versions] == ["retired", "promoted"]
    assert {result.trace.version for result in results if result.trace.served_by is Source.LOCAL} <= {2}


async def test_a_version_that_is_promoted_meanwhile_is_not_rolled_back_from_by_an_order_that_meant_another(
    running: Running, settings_of: SettingsOf, held: asyncio.Event
) -> None:
    settings = settings_of(name="rollback_3", **QUICK)
    async with with_two_versions(running, settings) as apprentice:
        ordered = asyncio.create_task(apprentice.operate(settings.name, Rollback()))
        await teach(apprentice, settings.name, tickets(20, first=2000))
        await apprentice.operate(settings.name, Retrain())
        assert (await settled(apprentice, settings.name, 3)).version == 3
        held.set()
        with pytest.raises(OrderRefused, match="has changed to 3 meanwhile"):
            await ordered
        assert (await apprentice.status(settings.name)).version == 3


async def test_before_any_promotion_there_is_nothing_to_roll_back(running: Running, settings_of: SettingsOf) -> None:
    settings = settings_of()
    async with running(settings) as apprentice:
        with pytest.raises(OrderRefused, match="no version has been promoted yet"):
            await apprentice.operate(settings.name, Rollback())
