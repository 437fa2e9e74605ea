"""Two failures in a row are down; the probe brings it back, and more slowly if it comes back in vain."""

import asyncio

import pytest

from activities.local import health
from activities.local.health import Health
from activities.local.model import ServerBusy, ServerDown


class Scripted:
    """A server whose probes fail until it is told otherwise."""

    def __init__(self) -> None:
        self.alive = False
        self.probes = 0
        self.downs: list[ServerDown] = []
        self.health = Health("the server", self.probe, self.downs.append)

    async def probe(self) -> None:
        self.probes += 1
        if not self.alive:
            raise ServerBusy("not yet") if self.probes % 2 else ServerDown("no")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "PROBE_SECONDS", 0.01)


async def back(server: Scripted) -> None:
    async with asyncio.timeout(5):
        while server.health.down:  # noqa: ASYNC110 - nothing tells of it, which is the point
            await asyncio.sleep(0.005)


async def test_one_failure_is_none() -> None:
    server = Scripted()
    for _ in range(5):
        server.health.failed("broke")
        server.health.succeeded()
    server.health.require()
    assert server.downs == []


async def test_two_in_a_row_are_down_told_once_and_every_question_fails_with_the_reason() -> None:
    server = Scripted()
    for _ in range(5):
        server.health.failed("gave no answer")
    assert len(server.downs) == 1
    with pytest.raises(ServerDown, match="the server gave no answer"):
        server.health.require()
    server.alive = True
    await back(server)


async def test_a_late_answer_from_before_does_not_make_a_server_well() -> None:
    server = Scripted()
    server.health.failed("broke")
    server.health.failed("broke")
    server.health.succeeded()
    assert server.health.down
    server.alive = True
    await back(server)


async def test_the_probe_goes_on_until_it_succeeds() -> None:
    server = Scripted()
    server.health.failed("broke")
    server.health.failed("broke")
    await asyncio.sleep(0.1)
    assert server.probes >= 3
    assert server.health.down
    server.alive = True
    await back(server)
    server.health.require()


async def test_after_its_return_one_failure_is_enough_until_a_question_was_answered() -> None:
    server = Scripted()
    server.alive = True
    server.health.failed("broke")
    server.health.failed("broke")
    await back(server)
    server.health.failed("broke")
    assert server.health.down
    assert len(server.downs) == 2
    await back(server)
    server.health.succeeded()
    server.health.failed("broke")
    assert not server.health.down
