"""The caps for all tasks, in the real system: one `BudgetWorkflow`, several tasks, one store."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from temporalio import workflow
from temporalio.client import WorkflowHandle

from activities.store import Store
from apprentice.messages import BudgetStatus, Freeze, Retire, SetCaps, TaskResult
from apprentice.settings import BudgetSettings, TaskSettings
from apprentice.treasury_state import TreasuryState
from client import Apprentice
from client.errors import BudgetExhausted
from tests.conftest import DevEnv
from tests.workflows.conftest import SettingsOf
from workers.worker import worker
from workflows import BudgetWorkflow
from workflows.budget import BudgetStart
from workflows.ids import lifecycle_id

CALL = Decimal("0.01")
"""What each call costs, and reserves."""


@dataclass
class System:
    """Tasks `a`, `b`, ... with instant teachers under caps that hold for all of them."""

    apprentice: Apprentice
    budget: WorkflowHandle[BudgetWorkflow, None]
    tasks: dict[str, TaskSettings]
    store_url: str

    async def ask(self, task: str, requests: int, prefix: str = "r") -> list[TaskResult | BudgetExhausted]:
        """All at once. What comes back is an answer, or that the budget is exhausted."""
        asked = [self._one(task, f"{prefix}-{number}") for number in range(requests)]
        return list(await asyncio.gather(*asked))

    async def _one(self, task: str, request_id: str) -> TaskResult | BudgetExhausted:
        name = self.tasks[task].name
        try:
            return await self.apprentice.run(name, {"text": f"{request_id} parcel"}, request_id=request_id, deadline=60)
        except BudgetExhausted as refusal:
            return refusal

    async def status(self) -> BudgetStatus:
        return await self.budget.query(BudgetWorkflow.status)

    async def paid(self) -> Decimal:
        """What the journal says, of all tasks."""
        async with await Store.open(self.store_url) as store:
            return sum([await store.journal.spend(task.name) for task in self.tasks.values()], Decimal(0))


Systems = Callable[..., AbstractAsyncContextManager[System]]


@pytest.fixture
def system(dev_env: DevEnv, settings_of: SettingsOf, tmp_path: Path) -> Systems:
    """A system of its own: `async with system("a", "b", daily="1.00") as running`."""

    @asynccontextmanager
    async def run(*names: str, task: dict[str, Any] | None = None, **caps: Any) -> AsyncIterator[System]:
        key = uuid4().hex[:8]
        teacher = {"provider": "simulated", "model": "teacher", "price": {"per_request": str(CALL)}}
        simulation = {"latency_seconds": 0.02, "latency_spread": 0}
        tasks = {
            name: settings_of(
                name=f"{name}_{key}",
                shared_budget=f"budget-{key}",
                **({"remote": teacher | {"simulation": simulation}} | (task or {})),
            )
            for name in names
        }
        queue, url = f"queue-{key}", f"sqlite:///{tmp_path}/store.db"
        budget = await dev_env.client.start_workflow(
            BudgetWorkflow.run,
            BudgetStart(settings=BudgetSettings.model_validate(caps)),
            id=f"budget-{key}",
            task_queue=queue,
        )
        async with worker(dev_env.client, url, queue):
            apprentice = Apprentice(dev_env.client, task_queue=queue, concurrency=1000)
            for settings in tasks.values():
                await apprentice.apply(settings)
            yield System(apprentice, budget, tasks, url)

    return run


def answered(results: list[TaskResult | BudgetExhausted]) -> int:
    return sum(isinstance(result, TaskResult) for result in results)


@pytest.mark.slow
async def test_a_thousand_requests_at_once_against_a_cap_for_a_hundred_make_a_hundred_calls(system: Systems) -> None:
    async with system("a", "b", daily="1.00", timezone="Europe/Berlin") as running:
        both = await asyncio.gather(running.ask("a", 500), running.ask("b", 500))
        results = [result for task in both for result in task]
        assert answered(results) == 100
        refusal = next(result for result in results if isinstance(result, BudgetExhausted))
        assert refusal.resets is not None
        assert timedelta(0) < refusal.resets - datetime.now(UTC) < timedelta(hours=25)
        assert await running.paid() == Decimal("1.00")
        cap = (await running.status()).caps[0]
        assert cap.settled + cap.reserved <= cap.cap


async def test_one_task_may_use_what_the_others_leave_and_the_last_call_that_fits_is_made(system: Systems) -> None:
    async with system("a", "b", daily="0.10") as running:
        assert answered(await running.ask("b", 1)) == 1
        assert answered(await running.ask("a", 30)) == 9
        assert answered(await running.ask("b", 3, "late")) == 0
        assert await running.paid() == Decimal("0.10")


async def test_operators_raise_and_freeze_the_caps_while_tasks_run(system: Systems) -> None:
    async with system("a", daily="0.02") as running:
        assert answered(await running.ask("a", 5, "first")) == 2
        await running.budget.execute_update(BudgetWorkflow.operate, SetCaps(daily=Decimal("0.04")))
        await asyncio.sleep(0.3)
        assert answered(await running.ask("a", 5, "second")) == 2
        await running.budget.execute_update(BudgetWorkflow.operate, SetCaps(daily=Decimal("1.00")))
        await running.budget.execute_update(BudgetWorkflow.operate, Freeze())
        await asyncio.sleep(0.3)
        [refused] = await running.ask("a", 1, "third")
        assert isinstance(refused, BudgetExhausted)
        assert "frozen" in str(refused)
        await running.budget.execute_update(BudgetWorkflow.operate, Freeze(frozen=False))
        await asyncio.sleep(0.3)
        assert answered(await running.ask("a", 5, "fourth")) == 5


async def test_a_task_that_retires_gives_back_what_it_was_granted_and_begins_again_where_it_was(
    system: Systems,
) -> None:
    async with system("a", "b", daily="0.10") as running:
        name = running.tasks["a"].name
        assert answered(await running.ask("a", 4)) == 4
        await running.apprentice.operate(name, Retire())
        handle = running.apprentice.client.get_workflow_handle(lifecycle_id(name))
        await asyncio.wait_for(handle.result(), 20)
        assert name not in (await running.status()).leases
        assert answered(await running.ask("b", 30)) == 6
        assert await running.apprentice.apply(running.tasks["a"])
        [more] = await running.ask("a", 1, "again")
        assert isinstance(more, BudgetExhausted)
        again = await running.apprentice.status(name)
        assert (again.examples, again.phase) == (4, 1)


async def test_what_a_terminated_task_was_granted_and_did_not_spend_is_free_again(system: Systems) -> None:
    async with system("a", "b", daily="0.10") as running:
        name = running.tasks["a"].name
        assert answered(await running.ask("a", 4)) == 4
        await running.apprentice.client.get_workflow_handle(lifecycle_id(name)).terminate("by hand")
        made = answered(await running.ask("b", 30))
        await asyncio.sleep(0.5)
        made += answered(await running.ask("b", 30, "after the audit"))
        assert made == 6
        assert await running.paid() == Decimal("0.10")


async def test_a_budget_that_was_terminated_learns_from_the_store_and_from_the_tasks_what_is_spent(
    system: Systems,
) -> None:
    async with system("a", "b", daily="0.10") as running:
        assert answered(await running.ask("a", 3)) == 3
        assert answered(await running.ask("b", 2)) == 2
        await running.budget.terminate("by hand")
        await running.apprentice.client.start_workflow(
            BudgetWorkflow.run,
            BudgetStart(settings=BudgetSettings(daily=Decimal("0.10"))),
            id=running.budget.id,
            task_queue=running.apprentice.task_queue,
        )
        made = [
            answered(results) for results in await asyncio.gather(running.ask("a", 20, "x"), running.ask("b", 20, "y"))
        ]
        assert sum(made) == 5
        assert await running.paid() == Decimal("0.10")


async def test_without_a_budget_to_ask_nothing_is_spent_and_the_error_says_so(system: Systems) -> None:
    async with system("a", daily="1.00") as running:
        await running.budget.terminate("by hand")
        results = await running.ask("a", 3)
        assert answered(results) == 0
        assert await running.paid() == 0


async def test_the_budget_rolls_over_with_tasks_drawing_from_it(
    system: Systems, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workflows.budget.suggested", lambda: workflow.info().get_current_history_length() > 60)
    async with system("a", "b", daily="0.50", coaching_share=1.0) as running:
        first = (await running.budget.describe()).run_id
        made = 0
        for batch in range(6):
            results = await asyncio.gather(running.ask("a", 5, f"a{batch}"), running.ask("b", 5, f"b{batch}"))
            made += sum(answered(result) for result in results)
        assert (await running.budget.describe()).run_id != first
        assert made == 50
        assert await running.paid() == Decimal("0.50")


def test_a_budget_that_rolls_over_before_it_learnt_what_was_spent_learns_it_after() -> None:
    """Else what was spent while there were no caps would be free."""
    settings = BudgetSettings(daily=Decimal(1))
    unlearnt = BudgetStart(settings=settings, state=TreasuryState(), fresh=True)
    assert BudgetWorkflow(unlearnt).fresh
    assert not BudgetWorkflow(unlearnt.model_copy(update={"fresh": False})).fresh
