"""Spot checks and backfill that nobody waits for: answered in batches, learnt from when their answers come."""

import asyncio
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

from activities.store import Store
from apprentice.messages import Phase, RouteReason, Source, TaskStatus
from client import Apprentice
from tests.workflows.conftest import PRICE, Running, SettingsOf
from tests.workflows.test_replay import replayer
from tests.workflows.traffic import QUICK, send, settled, tickets
from workflows.ids import batch_id, lifecycle_id

SOON = {"latency_seconds": 0, "batch_seconds": 0.5}
BATCHED: dict[str, Any] = {
    "provider": "simulated",
    "model": "teacher",
    "price": PRICE.model_dump(mode="json"),
    "simulation": SOON,
    "batch": True,
    "batch_size": 20,
    "batch_every": "2s",
}


async def until(
    apprentice: Apprentice, task: str, met: Callable[[TaskStatus], bool], seconds: float = 60
) -> TaskStatus:
    """The status once it is so. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while True:
            status = await apprentice.status(task)
            if met(status):
                return status
            await asyncio.sleep(0.1)


def idle(status: TaskStatus) -> bool:
    return not status.batch.collected and not status.batch.under_way


async def autonomous(apprentice: Apprentice, task: str) -> TaskStatus:
    """Brought to phase 3: 80 backfilled examples train version 1, which is then coached."""
    taken = await apprentice.backfill(task, tickets(80))
    assert (taken.queued, taken.known, taken.refused) == (80, 0, 0)
    await settled(apprentice, task)
    await send(apprentice, task, tickets(60, seed=2, first=1000))
    return await until(apprentice, task, lambda status: status.phase is Phase.AUTONOMOUS)


async def books_agree(tmp_path: Path, status: TaskStatus) -> None:
    async with await Store.open(f"sqlite:///{tmp_path}/store.db") as store:
        assert await store.journal.spend(status.task) == status.spend
        snapshot = await store.examples.snapshot(status.task, status.schema_version)
        assert (snapshot.train + snapshot.holdout, snapshot.holdout) == (status.examples, status.holdout)
        for number in range(1, 20):
            assert await store.batches.all(status.task, number) == [], "what was heard of is forgotten"


async def test_backfill_and_spot_checks_are_answered_later_at_the_batch_price(
    running: Running, settings_of: SettingsOf, tmp_path: Path
) -> None:
    settings = settings_of(remote=BATCHED, budget={"daily": "10"}, **QUICK)
    async with running(settings) as apprentice:
        before = await autonomous(apprentice, settings.name)
        assert (before.requests, before.batch.answered) == (60, 80)
        assert (await apprentice.backfill(settings.name, tickets(80))).known == 80

        results = await send(apprentice, settings.name, tickets(60, seed=3, first=2000))
        checked = [result for result in results if result.trace.reason is RouteReason.SPOT_CHECK]
        assert checked
        assert {result.trace.served_by for result in checked} == {Source.LOCAL}
        assert {result.trace.cost for result in checked} == {Decimal(0)}
        after = await until(apprentice, settings.name, idle)
        history = await apprentice.client.get_workflow_handle(lifecycle_id(settings.name)).fetch_history()
        batch = await apprentice.client.get_workflow_handle(batch_id(settings.name, 1)).fetch_history()
    assert after.batch.answered == 80 + len(checked)
    assert after.correlation is not None
    assert before.correlation is not None
    assert after.spend > before.spend
    assert after.examples > before.examples
    assert [cap.reserved for cap in after.caps] == [0]
    assert after.caps[0].settled == after.spend
    await books_agree(tmp_path, after)
    await replayer().replay_workflow(history)
    await replayer().replay_workflow(batch)
