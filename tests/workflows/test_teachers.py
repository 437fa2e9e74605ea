"""Several remote models behind one task: through Temporal, at servers that speak a real API."""

import asyncio
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from activities.store import Store
from apprentice.messages import AlertKind, TaskStatus
from client import Apprentice
from client.errors import InvalidInput, RequestFailed
from tests.conftest import DevEnv
from tests.fakes.provider.process import FakeProvider
from tests.workflows.conftest import PRICE, Running, SettingsOf
from tests.workflows.test_fine_tune import rolling_over, until_next_run
from tests.workflows.traffic import send, tickets
from workflows import TaskLifecycleWorkflow
from workflows.ids import lifecycle_id

NO_KEY = "APPRENTICE_TEST_KEY_THAT_IS_NOT_SET"


@pytest.fixture
def two() -> Iterator[tuple[FakeProvider, FakeProvider]]:
    with FakeProvider() as first, FakeProvider() as second:
        yield first, second


def at(server: FakeProvider, model: str, **more: Any) -> dict[str, Any]:
    return {
        "provider": "openai_compatible",
        "model": model,
        "base_url": server.url("openai_compatible"),
        "price": PRICE.model_dump(),
        "timeout_seconds": 10,
    } | more


async def until(apprentice: Apprentice, task: str, holds: Callable[[TaskStatus], bool]) -> TaskStatus:
    async with asyncio.timeout(20):
        while True:
            status = await apprentice.status(task)
            if holds(status):
                return status
            await asyncio.sleep(0.05)


def alerts(status: TaskStatus) -> list[str]:
    return [alert.message for alert in status.alerts if alert.kind is AlertKind.PROVIDER]


async def books(folder: Path, task: str) -> Decimal:
    async with await Store.open(f"sqlite:///{folder}/store.db") as store:
        return await store.journal.spend(task)


async def test_a_provider_that_is_down_is_replaced_at_once_reported_once_and_left_alone(
    running: Running, settings_of: SettingsOf, tmp_path: Path, two: tuple[FakeProvider, FakeProvider]
) -> None:
    down, up = two
    settings = settings_of(remote=at(down, "main", additional_providers=[at(up, "other")]))
    down.fail("error_503", calls=100)
    async with running(settings) as apprentice:
        began = time.monotonic()
        results = await send(apprentice, settings.name, tickets(12), at_once=1)
        seconds = time.monotonic() - began
        status = await apprentice.status(settings.name)
    assert {result.trace.model for result in results} == {"other"}
    assert len(down.bill()) == 5  # then the breaker opened
    assert seconds < 10  # nobody waited for the provider to come back
    [message] = alerts(status)
    assert "CircuitOpen" in message
    assert "main" in message
    assert [(one.model, one.error) for one in status.troubled] == [("main", "CircuitOpen")]
    paid = sum(call.cost for call in up.bill())
    assert status.spend == paid == await books(tmp_path, settings.name)


async def test_a_wrong_key_fails_at_once_and_is_reported_while_another_provider_goes_on(
    running: Running, settings_of: SettingsOf, two: tuple[FakeProvider, FakeProvider]
) -> None:
    locked, up = two
    main = at(locked, "main", api_key_env=NO_KEY)
    settings = settings_of(remote=main | {"additional_providers": [at(up, "other")]})
    async with running(settings) as apprentice:
        results = await send(apprentice, settings.name, tickets(3), at_once=1)
        [message] = alerts(status := await apprentice.status(settings.name))
        assert {result.trace.model for result in results} == {"other"}
        assert "AuthFailed" in message
        assert [one.error for one in status.troubled] == ["AuthFailed"]
        alone = settings_of(remote=main)
        await apprentice.apply(alone)
        began = time.monotonic()
        with pytest.raises(RequestFailed) as caught:
            await apprentice.run(alone.name, {"text": "card broken"})
        # No attempt after the first: the breaker of this account is open by now, or the key is looked for again.
        assert time.monotonic() - began < 5
        assert str(caught.value)
        [message] = alerts(await apprentice.status(alone.name))
    assert locked.bill() == []


async def test_a_second_opinion_is_asked_for_when_the_caller_has_gone_and_its_price_is_in_all_books(
    running: Running, settings_of: SettingsOf, tmp_path: Path, two: tuple[FakeProvider, FakeProvider]
) -> None:
    first, second = two
    remote = at(first, "main", additional_providers=[at(second, "other")], second_opinions=1.0)
    settings = settings_of(remote=remote)
    async with running(settings) as apprentice:
        results = await send(apprentice, settings.name, tickets(10), at_once=5)
        status = await until(
            apprentice, settings.name, lambda status: bool(status.teachers_agree and status.teachers_agree.n == 10)
        )
    assert {result.trace.model for result in results} == {"main"}
    assert status.teachers_agree is not None
    assert status.teachers_agree.mean == 1.0  # both servers answer by the same rule
    assert 0 < status.teachers_agree.low < status.teachers_agree.high == 1.0
    assert (len(first.bill()), len(second.bill())) == (10, 10)
    paid = sum(call.cost for call in [*first.bill(), *second.bill()])
    assert status.spend == paid == await books(tmp_path, settings.name)
    assert status.examples == 10
    async with await Store.open(f"sqlite:///{tmp_path}/store.db") as store:
        assert (await store.opinions.agreement(settings.name)).n == 10
        snapshot = await store.examples.snapshot(settings.name, 1)
    assert snapshot.train + snapshot.holdout == 10


async def test_shares_decide_who_teaches(running: Running, settings_of: SettingsOf, two: Any) -> None:
    first, second = two
    settings = settings_of(remote=at(first, "main", additional_providers=[at(second, "other", share=0.5)]))
    async with running(settings) as apprentice:
        results = await send(apprentice, settings.name, tickets(40))
    taught = [result.trace.model for result in results]
    assert 8 < taught.count("other") < 32
    assert len(second.bill()) == taught.count("other")


async def test_a_rollover_waits_for_the_opinions_that_are_paid_for(
    running: Running, settings_of: SettingsOf, dev_env: DevEnv, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = {"latency_seconds": 1.0, "latency_spread": 0}
    teacher = {"provider": "simulated", "model": "main", "price": PRICE.model_dump()}
    other = teacher | {"model": "other", "simulation": slow}
    instant = {"simulation": {"latency_seconds": 0}}
    settings = settings_of(remote=teacher | instant | {"additional_providers": [other], "second_opinions": 1.0})
    handle = dev_env.client.get_workflow_handle(lifecycle_id(settings.name))
    with rolling_over(monkeypatch) as roll:
        async with running(settings) as apprentice:
            await send(apprentice, settings.name, tickets(5))
            first = (await handle.describe()).run_id
            assert (await apprentice.status(settings.name)).teachers_agree is None
            roll.set()
            await handle.signal(TaskLifecycleWorkflow.resume)  # something has to wake the run up
            await until_next_run(handle, first)
            roll.clear()
            status = await apprentice.status(settings.name)
    assert status.teachers_agree is not None
    assert status.teachers_agree.n == 5
    assert status.requests == 5


async def test_no_request_has_the_id_of_a_second_opinion(
    running: Running, settings_of: SettingsOf, tmp_path: Path, two: tuple[FakeProvider, FakeProvider]
) -> None:
    """It would have its money, or its answer: the one that comes second finds the other's reservation and intent."""
    first, second = two
    remote = at(first, "main", additional_providers=[at(second, "other")], second_opinions=1.0)
    settings = settings_of(remote=remote)
    async with running(settings) as apprentice:
        await apprentice.run(settings.name, {"text": "card broken"}, request_id="r-1")
        with pytest.raises(InvalidInput, match="second opinions"):
            await apprentice.run(settings.name, {"text": "card broken"}, request_id="r-1#second")
