"""What an operator changes while a task runs: another schema, a call in doubt."""

import asyncio
from decimal import Decimal
from pathlib import Path

import pytest

from activities.store import Store
from apprentice.messages import ApplySettings, Phase, Reconcile
from client import Apprentice, OrderRefused
from client.errors import RequestFailed
from tests.conftest import DevEnv
from tests.workflows.conftest import Running, SettingsOf
from tests.workflows.traffic import QUICK, send, settled, tickets
from workers.worker import worker

TEACHER = {"provider": "simulated", "model": "teacher", "price": {"per_request": "0.01"}}


@pytest.mark.slow
async def test_another_schema_is_refused_until_it_is_asked_for_and_then_begins_with_examples_of_its_own(
    running: Running, settings_of: SettingsOf, tmp_path: Path
) -> None:
    settings = settings_of(**QUICK)
    wider = settings.model_copy(update={"output_schema": {"category": ["billing", "shipping"], "urgent": "bool"}})
    async with running(settings) as apprentice:
        await send(apprentice, settings.name, tickets(60))
        before = await settled(apprentice, settings.name)
        with pytest.raises(OrderRefused, match="--new-version"):
            await apprentice.apply(wider)
        load = asyncio.create_task(send(apprentice, settings.name, tickets(40, first=100)))
        after = await apprentice.operate(settings.name, ApplySettings(settings=wider, new_version=True))
        answers = await load
        [new] = await send(apprentice, settings.name, tickets(1, first=500))
        await apprentice.apply(wider)  # the same file again changes nothing, though it still says version 1
        again = await apprentice.status(settings.name)
    assert before.version == 1
    assert (after.phase, after.version, after.schema_version) == (Phase.COLLECTING, None, 2)
    assert after.spend >= before.spend
    assert all("category" in answer.output for answer in answers)
    assert set(new.output) == {"category", "urgent"}
    assert again.schema_version == 2
    async with await Store.open(f"sqlite:///{tmp_path}/store.db") as store:
        old = await store.examples.snapshot(settings.name, 1)
        young = await store.examples.snapshot(settings.name, 2)
    assert old.train + old.holdout >= 60
    assert young.train + young.holdout == again.examples > 0


async def test_a_task_that_is_started_anew_keeps_to_the_schema_versions_that_it_had(
    settings_of: SettingsOf, dev_env: DevEnv, tmp_path: Path
) -> None:
    settings = settings_of()
    wider = settings.model_copy(update={"output_schema": {"category": "str", "urgent": "bool"}})
    queue = f"queue-{settings.name}"
    async with worker(dev_env.client, f"sqlite:///{tmp_path}/store.db", queue):
        apprentice = Apprentice(dev_env.client, task_queue=queue)
        versions = []
        for wanted in (settings, wider, settings, wider):
            await apprentice.apply(wanted)
            await send(apprentice, settings.name, tickets(3))
            versions.append((await apprentice.status(settings.name)).schema_version)
            await dev_env.client.get_workflow_handle(f"apprentice/{settings.name}").terminate("by hand")
    assert versions == [1, 2, 1, 2]


async def test_a_call_in_doubt_counts_in_full_until_an_operator_says_what_it_cost(
    running: Running, settings_of: SettingsOf, tmp_path: Path
) -> None:
    """The teacher takes longer than its time-out, every time: nobody knows whether it will be billed."""
    remote = TEACHER | {"timeout_seconds": 0.2, "simulation": {"latency_seconds": 30, "latency_spread": 0}}
    settings = settings_of(remote=remote, budget={"daily": "0.05"})
    async with running(settings) as apprentice:
        # At once: five time-outs in a row, and the provider would be left alone for a while.
        asked = [
            apprentice.run(settings.name, {"text": f"slow {number}"}, request_id=f"r-{number}", deadline=60)
            for number in range(2)
        ]
        failed = await asyncio.gather(*asked, return_exceptions=True)
        assert [type(error) for error in failed] == [RequestFailed] * 2
        doubtful = await apprentice.status(settings.name)
        with pytest.raises(OrderRefused, match="no paid call"):
            await apprentice.operate(settings.name, Reconcile(request_id="r-9", cost=Decimal(0)))
        await apprentice.operate(settings.name, Reconcile(request_id="r-0", cost=Decimal("0.004")))
        await apprentice.operate(settings.name, Reconcile(request_id="r-0", cost=Decimal("0.004")))
        status = await apprentice.operate(settings.name, Reconcile(request_id="r-1", cost=Decimal(0)))
    assert (doubtful.unknown.calls, doubtful.unknown.upper_bound) == (2, Decimal("0.02"))
    assert doubtful.caps[0].settled == doubtful.spend == Decimal("0.02")
    assert status.unknown.calls == 0
    assert status.caps[0].settled == status.spend == Decimal("0.004")
    async with await Store.open(f"sqlite:///{tmp_path}/store.db") as store:
        assert await store.journal.spend(settings.name) == Decimal("0.004")
