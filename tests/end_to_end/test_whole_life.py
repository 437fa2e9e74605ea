"""One story in three worlds: a task learns, serves, changes its model, loses it, and gets it back."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from apprentice.messages import AlertKind, Phase, Retrain, Rollback, Source, TaskResult, TaskStatus
from apprentice.settings import TaskSettings
from client import Apprentice
from tests.conftest import DevEnv
from tests.end_to_end.worlds import AnthropicAndOllama, OpenAIAndLlamaCpp, RecordedAndEmbedded, World, tickets
from tests.fakes.provider.process import FakeProvider
from tests.servers.llama_cpp import LlamaServer
from tests.servers.ollama import OllamaServer
from tests.servers.tiny_gguf import write_model
from workers.worker import worker

# The first run on a machine builds the servers.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

PATIENCE = 180.0
AT_ONCE = 8
BASE = "tiny-for-a-whole-life"


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeProvider]:
    with FakeProvider() as running:
        yield running


@pytest.fixture
def recorded_and_embedded(tmp_path: Path) -> World:
    return RecordedAndEmbedded(tmp_path)


@pytest.fixture
def anthropic_and_ollama(tmp_path: Path, fake: FakeProvider, ollama_server: OllamaServer) -> World:
    ollama_server.create(BASE, write_model(tmp_path / "tiny.gguf"))
    return AnthropicAndOllama(tmp_path, fake, ollama_server, BASE)


@pytest.fixture
def openai_and_llama_cpp(tmp_path: Path, fake: FakeProvider, llama_server_binary: Path) -> Iterator[World]:
    server = LlamaServer(llama_server_binary, write_model(tmp_path / "tiny.gguf"))
    server.start()
    yield OpenAIAndLlamaCpp(tmp_path, fake, server)
    server.stop()


@pytest.fixture(params=["recorded_and_embedded", "anthropic_and_ollama", "openai_and_llama_cpp"])
def world(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("FAKE_KEY", "a-key-of-no-value")
    chosen: World = request.getfixturevalue(request.param)
    return chosen


class Life:
    """A running task. Every input is sent once."""

    def __init__(self, world: World, dev_env: DevEnv, folder: Path) -> None:
        self.world = world
        values: dict[str, Any] = {
            "name": f"life_{uuid4().hex[:8]}",
            "description": "Sort tickets",
            "input_schema": {"text": "str"},
            "evaluator": "exact_match",
            "confidence_thresholds": {"phase1_to_phase2": 50, "min_samples": 10},
            "sampling": {"window_size": 20, "trend_sensitivity": 0.01},
        }
        self.settings = TaskSettings.model_validate(values | world.settings())
        self.apprentice = Apprentice(dev_env.client, task_queue=self.settings.name, concurrency=AT_ONCE)
        self._client, self._store = dev_env.client, f"sqlite:///{folder}/store.db"
        self._workers = AsyncExitStack()
        self._numbers = count()

    async def start(self) -> None:
        await self._workers.enter_async_context(worker(self._client, self._store, self.settings.name))

    async def stop(self) -> None:
        await self._workers.aclose()

    async def status(self) -> TaskStatus:
        return await self.apprentice.status(self.settings.name)

    async def one(self) -> TaskResult:
        (input,) = tickets(1, first=next(self._numbers))
        return await self.apprentice.run(self.settings.name, input, deadline=PATIENCE)

    async def until(self, reached: Callable[[TaskStatus], bool], results: list[TaskResult]) -> TaskStatus:
        """Send requests until the status says so; the results are kept."""
        give_up = asyncio.get_running_loop().time() + PATIENCE
        while True:
            results += await asyncio.gather(*(self.one() for _ in range(AT_ONCE)))
            status = await self.status()
            if reached(status):
                return status
            assert asyncio.get_running_loop().time() < give_up, status.model_dump_json(
                include={"versions", "training", "requests", "local", "examples", "alerts"}
            )


@asynccontextmanager
async def life(world: World, dev_env: DevEnv, folder: Path) -> AsyncIterator[Life]:
    one = Life(world, dev_env, folder)
    await one.start()
    try:
        await one.apprentice.apply(one.settings)
        yield one
    finally:
        await one.stop()


async def test_a_task_learns_serves_changes_its_model_loses_it_and_gets_it_back(
    world: World, dev_env: DevEnv, tmp_path: Path
) -> None:
    async with life(world, dev_env, tmp_path) as task:
        results: list[TaskResult] = []
        grown = await task.until(lambda status: status.phase is Phase.AUTONOMOUS and status.local > 20, results)
        assert grown.version is not None
        assert grown.failed == 0

        # Another version takes over while requests go on: none fails, none is degraded.
        await task.apprentice.operate(task.settings.name, Retrain())
        swapped = await task.until(lambda status: status.version != grown.version, results)
        assert (swapped.phase, swapped.failed, swapped.degraded) == (Phase.AUTONOMOUS, 0, 0)
        await task.apprentice.operate(task.settings.name, Rollback(to=grown.version))
        assert (await task.status()).version == grown.version

        # The model is gone: the remote one answers, an operator is told, and nobody waits for a time-out.
        async with world.outage():
            if world.in_process:
                await task.stop()
                await task.start()
            down = await task.until(lambda status: status.outage is not None, results)
            assert (down.failed, down.degraded) == (0, 0)
            gone = await asyncio.gather(*(task.one() for _ in range(AT_ONCE)))
            assert {result.trace.served_by for result in gone} == {Source.REMOTE}
        assert [alert.kind for alert in down.alerts][-1] is AlertKind.LOCAL

        # It comes back by itself.
        back = await task.until(lambda status: status.outage is None, results)
        again = await task.until(lambda status: status.local > back.local, results)
        assert (again.failed, again.degraded) == (0, 0)
        assert [alert.kind for alert in again.alerts][-2:] == [AlertKind.LOCAL] * 2

    assert all(result.output["category"] for result in results)
    paid = [result for result in results + gone if result.trace.served_by is Source.REMOTE]
    assert again.spend == sum(result.trace.cost for result in paid)
    assert world.billed() in (None, len(paid))
