"""How long an operator's orders are waited for."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from apprentice.messages import Order, TaskStatus
from client.cli import orders
from client.cli.output import Failed
from tests.apprentice.brain import T0, coached
from workflows.policies import ROLL_BACK_TIMEOUT


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A task that takes half a second for every order, and a command line that waits for a tenth."""

    async def operate(task: str, order: Order) -> TaskStatus:
        await asyncio.sleep(0.5)
        return coached().status(T0)

    @asynccontextmanager
    async def connected(*_: Any) -> AsyncIterator[Any]:
        yield SimpleNamespace(operate=operate)

    monkeypatch.setattr(orders, "connected", connected)
    monkeypatch.setattr(orders._give, "__defaults__", (0.1,))


def test_a_rollback_is_waited_for_as_long_as_the_task_tries_the_version(
    slow: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ROLL_BACK_TIMEOUT.total_seconds() < orders.ROLLBACK_SECONDS
    orders.rollback("classify")
    assert "classify: version 1" in capsys.readouterr().out


def test_other_orders_are_answered_at_once_or_there_is_no_worker(slow: None) -> None:
    with pytest.raises(Failed, match="no worker is running"):
        orders.retrain("classify")
