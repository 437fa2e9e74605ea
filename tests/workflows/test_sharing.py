"""One paid call for the same question: while it is under way, and, if the task has a cache, for a time after it."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from activities.store import Store
from apprentice.messages import RouteReason
from client import Apprentice, RequestFailed
from tests.workflows.conftest import Running, SettingsOf

SLOW = {"latency_seconds": 0.4, "latency_spread": 0}
CALL = {"provider": "simulated", "model": "teacher", "price": {"per_request": "0.01"}}


def slow(**simulation: Any) -> dict[str, Any]:
    return CALL | {"simulation": SLOW | simulation}


async def paid_calls(tmp_path: Path, task: str) -> int:
    async with await Store.open(f"sqlite:///{tmp_path}/store.db") as store:
        return int(await store.journal.spend(task) / 1 * 100)


async def same(apprentice: Apprentice, task: str, requests: int, prefix: str = "r") -> list[Any]:
    asked = [
        apprentice.run(task, {"text": "where is my parcel?"}, request_id=f"{prefix}-{n}", deadline=30)
        for n in range(requests)
    ]
    return await asyncio.gather(*asked, return_exceptions=True)


async def test_identical_requests_in_flight_share_one_paid_call(
    running: Running, settings_of: SettingsOf, tmp_path: Path
) -> None:
    settings = settings_of(remote=slow(), budget={"daily": "0.01"})
    async with running(settings) as apprentice:
        results = await same(apprentice, settings.name, 20)
        status = await apprentice.status(settings.name)
        again = await same(apprentice, settings.name, 20)
    assert [result.trace.copied for result in results].count(False) == 1
    assert {result.trace.reason for result in results if result.trace.copied} == {RouteReason.SHARED}
    assert len({str(result.output) for result in results}) == 1
    assert (status.requests, status.copied, status.examples) == (20, 19, 1)
    assert status.spend == status.caps[0].settled == results[0].trace.cost + sum(r.trace.cost for r in results[1:])
    assert await paid_calls(tmp_path, settings.name) == 1
    assert [result.output for result in again] == [result.output for result in results]


async def test_an_input_that_is_spelt_otherwise_but_means_the_same_shares_too(
    running: Running, settings_of: SettingsOf, tmp_path: Path
) -> None:
    settings = settings_of(remote=slow(), input_schema={"text": "str", "where": "str?"})
    async with running(settings) as apprentice:
        await asyncio.gather(
            apprentice.run(settings.name, {"text": "hello", "where": "here"}, deadline=30),
            apprentice.run(settings.name, {"where": "here", "text": "hello"}, deadline=30),
        )
    assert await paid_calls(tmp_path, settings.name) == 1


async def test_when_the_first_fails_the_next_asks_for_itself(
    running: Running, settings_of: SettingsOf, tmp_path: Path
) -> None:
    """The first of the same requests gets no answer (no attempt succeeds); none waits for ever, all fail by name."""
    settings = settings_of(remote=slow(latency_seconds=0.01, error_rate=1.0))
    async with running(settings) as apprentice:
        results = await same(apprentice, settings.name, 3)
    assert all(isinstance(result, RequestFailed) for result in results)
    assert await paid_calls(tmp_path, settings.name) == 0


@pytest.mark.parametrize(("ttl", "calls"), [(None, 2), ("1h", 1), ("1s", 2)])
async def test_a_cache_answers_repeats_for_its_time_to_live(
    running: Running, settings_of: SettingsOf, tmp_path: Path, ttl: str | None, calls: int
) -> None:
    settings = settings_of(remote=slow(latency_seconds=0.01), cache={"ttl": ttl})
    async with running(settings) as apprentice:
        [first] = await same(apprentice, settings.name, 1, "first")
        await asyncio.sleep(1.2)
        [second] = await same(apprentice, settings.name, 1, "second")
        status = await apprentice.status(settings.name)
    assert second.output == first.output
    assert second.trace.copied is (calls == 1)
    assert await paid_calls(tmp_path, settings.name) == calls
    assert status.copied == 2 - calls
