"""What the clock alone does to a task: days, weeks and hours pass in seconds, on a real server that skips time."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from temporalio.client import WorkflowHandle
from temporalio.testing import TimeSkipper

from apprentice.messages import ForceRemote, RouteReason, TaskStatus
from apprentice.prices import reservation
from apprentice.settings import TaskSettings
from client import Apprentice, BudgetExhausted
from tests.conftest import DevEnv
from tests.workflows.conftest import SettingsOf
from tests.workflows.traffic import QUICK, send, settled, tickets
from workers.worker import worker
from workflows.ids import lifecycle_id

pytestmark = pytest.mark.slow


@dataclass
class Clocked:
    """A task whose clock can be moved."""

    apprentice: Apprentice
    handle: WorkflowHandle[Any, Any]
    skipper: TimeSkipper
    task: str

    async def later(self, span: timedelta) -> TaskStatus:
        """The status after the task's clock went forward by `span`."""
        await self.skipper.fast_forward(self.handle, span)
        return await self.status()

    async def status(self) -> TaskStatus:
        """As it stands."""
        return await self.apprentice.status(self.task)

    async def details(self) -> str:
        """What the Web UI shows."""
        return str(await self.handle.query("__temporal_workflow_metadata"))


Clock = Callable[[TaskSettings], AbstractAsyncContextManager[Clocked]]


@pytest.fixture
def clocked(dev_env: DevEnv, time_skipper: TimeSkipper, tmp_path: Path) -> Clock:
    """Applies the task and runs a worker for it while the block lasts."""

    @asynccontextmanager
    async def run(settings: TaskSettings) -> AsyncIterator[Clocked]:
        queue = f"queue-{settings.name}"
        async with worker(dev_env.client, f"sqlite:///{tmp_path}/store.db", queue):
            apprentice = Apprentice(time_skipper.client, task_queue=queue, concurrency=100)
            await apprentice.apply(settings)
            handle = time_skipper.client.get_workflow_handle(lifecycle_id(settings.name))
            yield Clocked(apprentice, handle, time_skipper, settings.name)

    return run


async def spend_all(task: Clocked, inputs: list[dict[str, str]]) -> None:
    """One after the other, so that none is left over for the next day."""
    for input in inputs:
        await task.apprentice.run(task.task, input, deadline=30)


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Auckland", "America/Los_Angeles", "Asia/Kolkata"])
async def test_a_budget_begins_anew_at_midnight_of_its_zone(clocked: Clock, settings_of: SettingsOf, zone: str) -> None:
    inputs = tickets(50)
    room = reservation(settings_of(), inputs[0])
    settings = settings_of(budget={"daily": str(room * Decimal("1.2")), "timezone": zone})
    async with clocked(settings) as task:
        if (now := await task.status()).caps[0].resets - now.at < timedelta(minutes=20):
            await task.later(timedelta(minutes=25))  # or midnight comes by itself
        with pytest.raises(BudgetExhausted) as refused:
            await spend_all(task, inputs)
        before = await task.status()
        midnight = before.caps[0].resets
        local = midnight.astimezone(ZoneInfo(zone))
        assert (local.hour, local.minute, local.second) == (0, 0, 0)
        assert timedelta(0) < midnight - before.at <= timedelta(hours=25)
        assert refused.value.resets == midnight

        almost = await task.later(midnight - before.at - timedelta(minutes=10))
        assert almost.caps[0].resets == midnight
        with pytest.raises(BudgetExhausted):
            await task.apprentice.run(settings.name, inputs[-1], deadline=30)

        await task.later(timedelta(minutes=15))
        result = await task.apprentice.run(settings.name, inputs[-1], deadline=30, request_id="next day")
        after = await task.status()
    assert not result.degraded
    assert after.at > midnight
    assert after.caps[0].settled == result.trace.cost
    assert after.caps[0].resets - midnight in {timedelta(hours=23), timedelta(hours=24), timedelta(hours=25)}
    assert [day.day for day in after.days] == sorted({day.day for day in after.days})
    assert len(after.days) == 2
    assert sum((day.spend for day in after.days), Decimal(0)) == after.spend


async def test_an_exhausted_day_is_served_locally_and_the_next_one_is_not_degraded(
    clocked: Clock, settings_of: SettingsOf
) -> None:
    settings = settings_of(name="clock_1", **QUICK)
    async with clocked(settings) as task:
        await send(task.apprentice, settings.name, tickets(60))
        assert (await settled(task.apprentice, settings.name)).version == 1
        spent = (await task.status()).spend
        capped = settings.budget.model_copy(update={"daily": spent})
        await task.apprentice.apply(settings.model_copy(update={"budget": capped}))
        await task.apprentice.operate(settings.name, ForceRemote())
        poor = await task.apprentice.run(settings.name, {"text": "invoice login"}, deadline=30)
        await task.later(timedelta(hours=25))
        rich = await task.apprentice.run(settings.name, {"text": "parcel courier"}, deadline=30)
    assert poor.degraded
    assert poor.trace.reason is RouteReason.BUDGET
    assert poor.trace.cost == 0
    assert not rich.degraded
    assert rich.trace.reason is RouteReason.FORCED


async def test_a_forced_remote_ends_by_itself_and_the_web_ui_says_so_without_a_request(
    clocked: Clock, settings_of: SettingsOf
) -> None:
    settings = settings_of()
    async with clocked(settings) as task:
        await send(task.apprentice, settings.name, tickets(3))
        until = (await task.status()).at + timedelta(hours=6)
        forced = await task.apprentice.operate(settings.name, ForceRemote(until=until))
        told = await task.details()
        assert forced.forced_remote
        assert forced.explanation in told
        still = await task.later(timedelta(hours=5))
        assert still.forced_remote
        ended = await task.later(timedelta(hours=2))
        assert not ended.forced_remote
        assert ended.forced_until is None
        told = await task.details()
    assert ended.explanation in told
    assert forced.explanation not in told


async def test_the_clock_retrains_when_there_are_new_examples_and_only_then(
    clocked: Clock, settings_of: SettingsOf
) -> None:
    local = settings_of().local.model_dump(mode="json") | {"retrain_every": "7d", "fine_tune_batch_size": 10_000}
    settings = settings_of(name="clock_2", **QUICK, local=local)
    async with clocked(settings) as task:
        await send(task.apprentice, settings.name, tickets(60))
        assert len((await settled(task.apprentice, settings.name)).versions) == 1
        nothing_new = await task.later(timedelta(days=15))
        assert nothing_new.training is None
        assert len(nothing_new.versions) == 1
        await send(task.apprentice, settings.name, [{"text": f"refund {word}"} for word in ("a", "b", "c", "d")])
        after = await settled(task.apprentice, settings.name, 2)
        assert re.search(r"new examples? since", await fine_tune_reason(task, 2))
        await send(task.apprentice, settings.name, [{"text": f"login {word}"} for word in ("a", "b", "c", "d")])
        assert (await task.later(timedelta(days=6))).training is None
        assert len((await task.status()).versions) == 2
        await task.later(timedelta(days=2))
        last = await settled(task.apprentice, settings.name, 3)
    assert [version.version for version in after.versions] == [1, 2]
    assert [version.version for version in last.versions] == [1, 2, 3]


async def fine_tune_reason(task: Clocked, number: int) -> str:
    """Why a fine-tune was started, as its workflow got it."""
    history = await task.skipper.client.get_workflow_handle(
        f"{lifecycle_id(task.task)}/fine-tune/{number}"
    ).fetch_history()
    payload = history.events[0].workflow_execution_started_event_attributes.input.payloads[0]
    return str(json.loads(payload.data)["reason"])


@dataclass
class Webhook:
    """A receiver that can be out of order. `answers` are the statuses that it gave, `alerts` what it took."""

    broken: bool = True
    answers: list[int] = field(default_factory=list)
    alerts: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request of HTTP/1.1."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
        body = await reader.readexactly(int(fields["content-length"]))
        self.answers.append(503 if self.broken else 200)
        if not self.broken:
            self.alerts.append(json.loads(body))
            self.keys.append(fields["idempotency-key"])
        writer.write(f"HTTP/1.1 {self.answers[-1]} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()


async def test_an_alert_is_sent_for_hours_until_the_webhook_is_back(
    clocked: Clock, settings_of: SettingsOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = Webhook()
    server = await asyncio.start_server(hook.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    monkeypatch.setenv("APPRENTICE_TEST_WEBHOOK", f"http://127.0.0.1:{port}/hook")
    settings = settings_of(budget={"daily": "0"}, alerts={"webhook_env": "APPRENTICE_TEST_WEBHOOK"})
    async with server, clocked(settings) as task:
        with pytest.raises(BudgetExhausted):
            await task.apprentice.run(settings.name, {"text": "too dear"}, deadline=30)
        async with asyncio.timeout(30):
            while not hook.answers:  # noqa: ASYNC110 - a server counts
                await asyncio.sleep(0.05)
        await task.later(timedelta(hours=5))
        tried = len(hook.answers)
        hook.broken = False
        await task.later(timedelta(hours=1))
        async with asyncio.timeout(30):
            while not hook.alerts:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        await task.later(timedelta(hours=30))
        status = await task.status()
    assert tried > 10, "ten minutes between attempts, at most, over five hours"
    assert [alert["id"] for alert in hook.alerts] == [status.alerts[0].id] == hook.keys
    assert hook.alerts[0]["kind"] == "budget"
    assert datetime.fromisoformat(hook.alerts[0]["at"]).astimezone(UTC) == status.alerts[0].at
