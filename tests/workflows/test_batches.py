"""Spot checks and backfill that nobody waits for: answered in batches, learnt from when their answers come."""

import sqlite3
from decimal import Decimal
from pathlib import Path
from typing import Any

from activities.store import Store
from apprentice.messages import RouteReason, Source, TaskStatus
from client import Apprentice
from tests.workflows import traffic
from tests.workflows.conftest import PRICE, Running, SettingsOf
from tests.workflows.test_replay import replayer
from tests.workflows.traffic import QUICK, send, settled, tickets, until
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


def idle(status: TaskStatus) -> bool:
    return not status.batch.collected and not status.batch.under_way


async def autonomous(apprentice: Apprentice, task: str) -> TaskStatus:
    """Brought to phase 3: 80 backfilled examples train version 1, which is then coached."""
    taken = await apprentice.backfill(task, tickets(80))
    assert (taken.queued, taken.known, taken.refused) == (80, 0, 0)
    await settled(apprentice, task)
    await traffic.autonomous(apprentice, task, first=1000)
    return await until(apprentice, task, idle)


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
    often = {"sampling": QUICK["sampling"] | {"min_floor": 0.5}}
    settings = settings_of(remote=BATCHED, budget={"daily": "10"}, **QUICK | often)
    async with running(settings) as apprentice:
        before = await autonomous(apprentice, settings.name)
        assert (await apprentice.backfill(settings.name, tickets(80))).known == 80

        results = await send(apprentice, settings.name, tickets(60, seed=3, first=2000))
        checked = [result for result in results if result.trace.reason is RouteReason.SPOT_CHECK]
        assert checked
        assert {result.trace.served_by for result in checked} == {Source.LOCAL}
        assert {result.trace.cost for result in checked} == {Decimal(0)}
        after = await until(apprentice, settings.name, idle)
        history = await apprentice.client.get_workflow_handle(lifecycle_id(settings.name)).fetch_history()
        batch = await apprentice.client.get_workflow_handle(batch_id(settings.name, 1)).fetch_history()
    assert after.batch.answered == before.batch.answered + len(checked)
    with sqlite3.connect(tmp_path / "store.db") as connection:
        chances = dict(connection.execute("SELECT request_id, propensity FROM comparisons").fetchall())
    for result in checked:
        assert chances[result.request_id] in (result.trace.propensity, 1.0), "an unsure answer is always compared"
    assert after.spend > before.spend
    assert after.examples > before.examples
    assert [cap.reserved for cap in after.caps] == [0]
    assert after.caps[0].settled == after.spend
    await books_agree(tmp_path, after)
    await replayer().replay_workflow(history)
    await replayer().replay_workflow(batch)


async def test_a_full_cap_keeps_questions_out_and_is_never_passed(
    running: Running, settings_of: SettingsOf, tmp_path: Path
) -> None:
    """Of 60 inputs only as many are taken in as could all cost their bound; what they did not cost lets others in."""
    price = {"per_request": "0.02"}
    settings = settings_of(remote=BATCHED | {"price": price}, budget={"daily": "0.305"}, **QUICK)
    async with running(settings) as apprentice:
        taken = await apprentice.backfill(settings.name, tickets(60))
        assert (taken.queued, taken.refused) == (30, 30)
        assert "cap" in taken.why
        status = await apprentice.status(settings.name)
        assert status.caps[0].settled + status.caps[0].reserved <= status.caps[0].cap
        after = await until(apprentice, settings.name, lambda status: idle(status) and status.batch.answered == 30)
    assert after.spend == Decimal("0.30")
    await books_agree(tmp_path, after)


async def test_questions_that_are_collected_survive_a_rollover(
    running: Running, settings_of: SettingsOf, tmp_path: Path, monkeypatch: Any
) -> None:
    """Seven questions wait, the run ends, the next one sends them when their time has come."""
    settings = settings_of(remote=BATCHED | {"batch_every": "8s"}, **QUICK)
    async with running(settings) as apprentice:
        handle = apprentice.client.get_workflow_handle(lifecycle_id(settings.name))
        first = (await handle.describe()).run_id
        assert (await apprentice.backfill(settings.name, tickets(7))).queued == 7
        monkeypatch.setattr("workflows.task_lifecycle.UPDATES_A_RUN", 1)
        monkeypatch.setattr("temporalio.workflow.Info.is_continue_as_new_suggested", lambda info: True)
        await send(apprentice, settings.name, tickets(1, first=500))
        monkeypatch.undo()
        await until(apprentice, settings.name, lambda status: status.batch.collected == 7 or status.batch.answered == 7)
        after = await until(apprentice, settings.name, lambda status: status.batch.answered == 7)
        assert (await handle.describe()).run_id != first
    assert after.examples == 8
    await books_agree(tmp_path, after)


async def test_a_batch_that_cannot_be_sent_costs_nothing_and_is_told(
    running: Running, settings_of: SettingsOf, tmp_path: Path
) -> None:
    """No configuration says so, as it is refused at load; a program may."""
    remote = BATCHED | {"provider": "openai_compatible", "base_url": "http://127.0.0.1:9/v1", "batch_size": 3}
    settings = settings_of(remote=remote, budget={"daily": "10"})
    async with running(settings) as apprentice:
        await apprentice.backfill(settings.name, tickets(3))
        status = await until(apprentice, settings.name, lambda status: status.batch.failed == 3)
    assert [status.spend, status.caps[0].reserved, status.unknown.calls] == [0, 0, 0]
    assert ["no batch API" in alert.message for alert in status.alerts] == [True]
    await books_agree(tmp_path, status)
