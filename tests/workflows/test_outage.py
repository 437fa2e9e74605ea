"""The local model goes away and comes back: requests go on, within budget, and operators are told twice."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import pytest

from activities.local.model import version_dir
from apprentice.messages import AlertKind, Phase, RouteReason, Source
from apprentice.settings import TaskSettings
from client import Apprentice, RequestFailed
from tests.conftest import DevEnv
from tests.workflows.conftest import Running, SettingsOf
from tests.workflows.test_replay import replayer
from tests.workflows.traffic import QUICK, autonomous, send, settled, tickets
from workflows.ids import lifecycle_id

pytestmark = pytest.mark.slow


def away(settings: TaskSettings) -> Path:
    return version_dir(settings, 1).with_name("away")


@asynccontextmanager
async def without_its_model(
    running: Running, settings: TaskSettings, phase: Phase
) -> AsyncIterator[tuple[Apprentice, Callable[[], object]]]:
    """The task in phase 2 or 3, with a worker that finds no model; the function puts it back."""
    async with running(settings) as apprentice:
        await send(apprentice, settings.name, tickets(60))
        await settled(apprentice, settings.name)
        if phase is Phase.AUTONOMOUS:
            await autonomous(apprentice, settings.name)
        local = settings.local.model_copy(update={"fine_tune_batch_size": 10_000})
        settings = settings.model_copy(update={"local": local})
        await apprentice.apply(settings)
        version = (await settled(apprentice, settings.name)).version
    assert version is not None
    await asyncio.to_thread(version_dir(settings, version).rename, away(settings))
    async with running(settings) as apprentice:
        yield apprentice, lambda: away(settings).rename(version_dir(settings, version))


async def test_in_phase_3_the_remote_model_answers_until_the_local_one_is_back(
    running: Running, settings_of: SettingsOf, dev_env: DevEnv
) -> None:
    settings = settings_of(**QUICK, local=settings_of().local.model_dump() | {"cost_per_hour": "3600"}, name="outage_3")
    async with without_its_model(running, settings, Phase.AUTONOMOUS) as (apprentice, put_back):
        before = await apprentice.status(settings.name)
        assert before.phase is Phase.AUTONOMOUS
        away = await send(apprentice, settings.name, tickets(40, first=800))
        during = await apprentice.status(settings.name)
        await asyncio.to_thread(put_back)
        back = await send(apprentice, settings.name, tickets(40, first=900))
        after = await apprentice.status(settings.name)
        await replayer().replay_workflow(
            await dev_env.client.get_workflow_handle(lifecycle_id(settings.name)).fetch_history()
        )
    assert {result.trace.served_by for result in away} == {Source.REMOTE}
    assert RouteReason.LOCAL_FAILED in {result.trace.reason for result in away}
    assert [alert.kind for alert in during.alerts] == [AlertKind.LOCAL]
    assert during.outage is not None
    assert during.outage.error == "ModelUnavailable"
    assert "its version cannot be served); requests go to the remote model within budget" in during.explanation
    served = [result for result in back if result.trace.served_by is Source.LOCAL]
    assert served
    assert {result.trace.cost for result in served} == {0}
    assert [alert.kind for alert in after.alerts] == [AlertKind.LOCAL] * 2
    assert "answers again" in after.alerts[-1].message
    assert after.outage is None
    assert after.failed == 0
    assert after.local_cost > during.local_cost
    assert after.spend == before.spend + sum(result.trace.cost for result in [*away, *back])


async def test_in_phase_2_callers_notice_nothing_but_operators_are_told(
    running: Running, settings_of: SettingsOf
) -> None:
    thresholds = QUICK["confidence_thresholds"] | {"min_samples": 50}
    settings = settings_of(**QUICK | {"confidence_thresholds": thresholds}, name="outage_2")
    async with without_its_model(running, settings, Phase.COACHING) as (apprentice, put_back):
        away = await send(apprentice, settings.name, tickets(10, first=800))
        during = await apprentice.status(settings.name)
        await asyncio.to_thread(put_back)
        await send(apprentice, settings.name, tickets(10, first=900))
        after = await apprentice.status(settings.name)
    assert during.phase is Phase.COACHING
    assert {result.trace.reason for result in away} == {RouteReason.COACHING}
    assert [alert.kind for alert in during.alerts] == [AlertKind.LOCAL]
    assert during.outage is not None
    assert [alert.kind for alert in after.alerts] == [AlertKind.LOCAL] * 2
    assert after.failed == 0


async def test_without_budget_and_without_a_local_model_requests_fail_by_name(
    running: Running, settings_of: SettingsOf
) -> None:
    settings = settings_of(**QUICK, name="outage_broke")
    async with without_its_model(running, settings, Phase.AUTONOMOUS) as (apprentice, _):
        budget = settings.budget.model_copy(update={"daily": Decimal(0)})
        await apprentice.apply(settings.model_copy(update={"budget": budget}))
        with pytest.raises(RequestFailed, match="ModelUnavailable"):
            await apprentice.run(settings.name, tickets(1, first=800)[0], deadline=30)
        status = await apprentice.status(settings.name)
    assert AlertKind.LOCAL in {alert.kind for alert in status.alerts}
    assert status.failed == 1
