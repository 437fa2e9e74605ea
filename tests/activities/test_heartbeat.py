"""Nobody beats by hand."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from temporalio.testing import ActivityEnvironment

from activities.heartbeat import Heartbeater


async def beats_of(limit_seconds: float | None, seconds: float) -> list[Any]:
    beats: list[Any] = []
    environment = ActivityEnvironment()
    limit = None if limit_seconds is None else timedelta(seconds=limit_seconds)
    environment.info = replace(environment.info, heartbeat_timeout=limit)
    environment.on_heartbeat = lambda *details: beats.append(details)

    async def work() -> None:
        async with Heartbeater("half done"):
            await asyncio.sleep(seconds)

    await environment.run(work)
    count = len(beats)
    await asyncio.sleep(0.1)
    assert len(beats) == count, "it beats on after its block"
    return beats


async def test_an_activity_beats_three_times_in_each_time_out() -> None:
    beats = await beats_of(limit_seconds=0.15, seconds=0.3)
    assert 4 <= len(beats) <= 7
    assert set(beats) == {("half done",)}


async def test_without_a_time_out_there_is_no_beat() -> None:
    assert await beats_of(limit_seconds=None, seconds=0.1) == []


async def test_an_error_in_the_block_passes_through() -> None:
    async def work() -> None:
        async with Heartbeater():
            raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        await ActivityEnvironment().run(work)
