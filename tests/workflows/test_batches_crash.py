"""A worker that dies around the sending of a batch: the provider has one batch, and every question is paid once."""

import asyncio
import sqlite3
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from activities.remote import registry
from activities.store import Store
from client import Apprentice
from tests.conftest import DevEnv
from tests.fakes.batches import INPUT_TOKENS, OUTPUT_TOKENS, BatchServer
from tests.workflows.conftest import PRICE, SettingsOf
from tests.workflows.test_batches import idle
from tests.workflows.traffic import tickets, until
from tests.workflows.worker_process import WorkerProcess

pytestmark = [
    pytest.mark.crash,
    pytest.mark.skipif("openai" not in registry.DIALECTS, reason="there is no dialect of openai"),
]
QUESTIONS = 6
AT_HALF = (INPUT_TOKENS * Decimal(3) + OUTPUT_TOKENS * Decimal(15)) / 1_000_000 / 2


@pytest.fixture
def provider() -> Iterator[BatchServer]:
    with BatchServer() as server:
        yield server


@pytest.fixture
def remote(provider: BatchServer, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setenv("TEST_KEY", "sk-test")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    named = {"provider": "openai", "model": "gpt-5", "api_key_env": "TEST_KEY", "base_url": provider.base_url}
    return named | {"price": PRICE.model_dump(mode="json"), "batch": True, "batch_size": QUESTIONS}


@pytest.mark.parametrize("operation", ["intend_beside", "sent"])
async def test_a_batch_that_was_sent_before_a_kill_is_adopted_not_sent_again(
    dev_env: DevEnv,
    settings_of: SettingsOf,
    tmp_path: Path,
    provider: BatchServer,
    remote: dict[str, Any],
    operation: str,
) -> None:
    """`intend_beside`: killed before anything was sent. `sent`: the provider has it, and its name was never written."""
    settings = settings_of(remote=remote, budget={"daily": "1"})
    queue = f"queue-{settings.name}"
    with WorkerProcess(dev_env.address, f"sqlite:///{tmp_path}/store.db", queue, tmp_path / "worker.log") as workers:
        apprentice = Apprentice(dev_env.client, task_queue=queue)
        await apprentice.apply(settings)
        dying = workers.start("--die-around", operation)
        taken = await apprentice.backfill(settings.name, tickets(QUESTIONS))
        assert taken.queued == QUESTIONS
        await asyncio.to_thread(dying.wait)
        workers.running.remove(dying)
        assert len(provider.sent()) == (1 if operation == "sent" else 0)
        with sqlite3.connect(tmp_path / "store.db") as connection:
            rows = connection.execute("SELECT state, provider_batch FROM batch_items").fetchall()
        assert rows == [("waiting", None)] * QUESTIONS
        workers.start()
        status = await until(apprentice, settings.name, lambda status: idle(status) and status.batch.answered > 0)
    assert len(provider.sent()) == 1
    assert (status.batch.answered, status.examples) == (QUESTIONS, QUESTIONS)
    assert status.spend == QUESTIONS * AT_HALF
    assert status.caps[0].reserved == 0
    async with await Store.open(f"sqlite:///{tmp_path}/store.db") as store:
        assert await store.journal.spend(settings.name) == status.spend


async def test_a_batch_that_expires_costs_nothing_and_gives_its_money_back(
    dev_env: DevEnv, settings_of: SettingsOf, tmp_path: Path, provider: BatchServer, remote: dict[str, Any]
) -> None:
    settings = settings_of(remote=remote, budget={"daily": "1"})
    queue = f"queue-{settings.name}"
    provider.order(fate="expire")
    with WorkerProcess(dev_env.address, f"sqlite:///{tmp_path}/store.db", queue, tmp_path / "worker.log") as workers:
        apprentice = Apprentice(dev_env.client, task_queue=queue)
        await apprentice.apply(settings)
        workers.start()
        await apprentice.backfill(settings.name, tickets(QUESTIONS))
        status = await until(apprentice, settings.name, lambda status: status.batch.failed == QUESTIONS)
        assert [status.spend, status.caps[0].settled, status.caps[0].reserved] == [0, 0, 0]
        assert status.unknown.calls == 0
        provider.order(fate="complete")
        again = await apprentice.backfill(settings.name, tickets(QUESTIONS))
        assert again.queued == QUESTIONS, "what was not answered may be asked again"
        after = await until(apprentice, settings.name, lambda status: status.batch.answered == QUESTIONS)
    assert after.spend == QUESTIONS * AT_HALF


async def test_some_answers_of_a_batch_are_unusable(
    dev_env: DevEnv, settings_of: SettingsOf, tmp_path: Path, provider: BatchServer, remote: dict[str, Any]
) -> None:
    settings = settings_of(remote=remote)
    queue = f"queue-{settings.name}"
    provider.order(items=["answered", "declined", "invalid", "failed", "missing", "answered"])
    with WorkerProcess(dev_env.address, f"sqlite:///{tmp_path}/store.db", queue, tmp_path / "worker.log") as workers:
        apprentice = Apprentice(dev_env.client, task_queue=queue)
        await apprentice.apply(settings)
        workers.start()
        await apprentice.backfill(settings.name, tickets(QUESTIONS))
        status = await until(apprentice, settings.name, lambda status: idle(status) and status.batch.failed > 0)
    assert (status.batch.answered, status.batch.unusable, status.batch.failed) == (2, 1, 3)
    assert status.spend == 3 * AT_HALF
    with sqlite3.connect(tmp_path / "store.db") as connection:
        states = connection.execute("SELECT state, COUNT(*) FROM calls GROUP BY state ORDER BY state").fetchall()
    assert states == [("answered", 2), ("failed", 3), ("rejected", 1)]
