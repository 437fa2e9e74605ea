"""A version is loaded once, let go when nobody uses it, and never while somebody does."""

import asyncio
import itertools
from typing import Any

import pytest

from activities.local.model import ModelUnavailable, ServerBusy
from activities.local.warm import KEPT, Warm


class Shelf:
    """What was loaded and let go, in order; loads wait for `ready`."""

    def __init__(self) -> None:
        self.events: list[tuple[str, int]] = []
        self.ready = asyncio.Event()
        self.ready.set()
        self.missing: set[int] = set()
        self.warm: Warm[str] = Warm(self.load, self.release)

    async def load(self, version: int) -> str:
        self.events.append(("load", version))
        await self.ready.wait()
        if version in self.missing:
            raise ModelUnavailable("tickets", version, "it is missing")
        return f"model {version}"

    async def release(self, version: int, _: str) -> None:
        self.events.append(("release", version))

    async def use(self, version: int, hold: asyncio.Event | None = None, seconds: float = 5.0) -> str:
        async with self.warm.use(version, asyncio.get_running_loop().time() + seconds) as model:
            if hold:
                await hold.wait()
            return model


async def test_however_many_ask_a_version_is_loaded_once() -> None:
    shelf = Shelf()
    assert set(await asyncio.gather(*(shelf.use(1) for _ in range(20)), shelf.warm.get(1))) == {"model 1"}
    assert shelf.events == [("load", 1)]
    assert shelf.warm.loaded() == {1: "model 1"}


async def test_a_version_is_let_go_when_its_questions_in_flight_are_answered() -> None:
    shelf, hold = Shelf(), asyncio.Event()
    asked = asyncio.create_task(shelf.use(1, hold))
    await asyncio.sleep(0.01)
    dropping = asyncio.create_task(shelf.warm.drop(1))
    await asyncio.sleep(0.01)
    assert shelf.events == [("load", 1)]
    hold.set()
    await asked
    await dropping
    assert shelf.events == [("load", 1), ("release", 1)]
    await shelf.warm.drop(1)
    assert await shelf.use(1) == "model 1"
    assert shelf.events[-1] == ("load", 1)


async def test_the_version_used_longest_ago_makes_room_for_another() -> None:
    shelf = Shelf()
    for version in range(1, KEPT + 2):
        await shelf.use(version)
        await shelf.use(1)
    await asyncio.sleep(0.01)
    assert [event for event in shelf.events if event[0] == "release"] == [("release", 2)]


async def test_a_version_that_fails_is_tried_again() -> None:
    shelf = Shelf()
    shelf.missing = {1}
    for _ in range(2):
        with pytest.raises(ModelUnavailable):
            await shelf.use(1)
    shelf.missing = set()
    assert await shelf.use(1) == "model 1"
    assert shelf.events == [("load", 1)] * 3


async def test_one_caller_waits_for_a_slow_load_and_the_next_are_not_kept_waiting() -> None:
    shelf = Shelf()
    shelf.ready.clear()
    with pytest.raises(ServerBusy, match="still being loaded"):
        await shelf.use(1, seconds=0.05)
    began = asyncio.get_running_loop().time()
    for _ in range(10):
        with pytest.raises(ServerBusy):
            await shelf.use(1, seconds=5.0)
    assert asyncio.get_running_loop().time() - began < 1.0
    shelf.ready.set()
    await asyncio.sleep(0.01)
    assert await shelf.use(1) == "model 1"
    assert shelf.events == [("load", 1)]


async def test_a_caller_who_leaves_does_not_end_the_load_for_others() -> None:
    shelf = Shelf()
    shelf.ready.clear()
    hasty, patient = (asyncio.create_task(shelf.use(1)) for _ in range(2))
    await asyncio.sleep(0.01)
    hasty.cancel()
    await asyncio.sleep(0.01)
    shelf.ready.set()
    assert await patient == "model 1"


async def test_under_a_storm_of_use_and_drop_nobody_fails_and_all_is_let_go_in_the_end() -> None:
    shelf, numbers = Shelf(), itertools.count()
    results: list[Any] = []

    async def storm() -> None:
        for _ in range(100):
            version = next(numbers) % 5
            results.append(await shelf.use(version))
            if version == 2:
                await shelf.warm.drop(version)

    await asyncio.gather(*(storm() for _ in range(8)))
    for version in range(5):
        await shelf.warm.drop(version)
    await asyncio.sleep(0.01)
    assert len(results) == 800
    kinds = [kind for kind, _ in shelf.events]
    assert kinds.count("load") == kinds.count("release")
