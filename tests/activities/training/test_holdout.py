"""Which hold-out examples a version is asked, and how many at a time."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from activities.comparing import Scorer
from activities.local.model import BadAnswer, LocalModel, ServerDown
from activities.local.serving import LocalModels
from activities.store import Store
from activities.training.holdout import HoldOut
from apprentice.messages import Answer, DatasetRef, Source, Split, ValidationRequest
from apprentice.settings import TaskSettings
from tests.activities.store.conftest import make_call

TASK = "tickets"


def settings_of(backend: str, **local: Any) -> TaskSettings:
    return TaskSettings.model_validate(
        {
            "name": TASK,
            "input_schema": {"text": "str"},
            "output_schema": {"label": "str"},
            "remote": {"provider": "simulated", "model": "m", "price": {}},
            "local": {"backend": backend, "base_model": "tiny", "validation_examples": 20, "max_concurrent": 3} | local,
        }
    )


class Slow(LocalModels):
    """A model whose answers take a moment and are right; `asked` is what it was asked, in order."""

    def __init__(self, error: Exception | None = None) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.at_once = self.most_at_once = 0
        self._error = error

    def of(self, settings: TaskSettings) -> LocalModel:
        return self  # type: ignore[return-value]

    async def answer(self, input: dict[str, Any], version: int) -> Answer:
        self.asked.append(input["text"])
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0.005)
        self.at_once -= 1
        if self._error and input["text"].endswith("7"):
            raise self._error
        return Answer(source=Source.LOCAL, output={"label": "a"}, model="m", version=version, confidence=0.9)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """Forty hold-out examples, every fourth of them unfair, and as many to train with."""
    async with await Store.open(f"sqlite:///{tmp_path}/store.db") as opened:
        for number in range(40):
            for split in Split:
                await add(opened, number, split)
        yield opened


async def add(store: Store, number: int, split: Split) -> None:
    call = make_call(f"{split} {number:02}")
    new: dict[str, Any] = {"task": TASK, "split": split, "output": {"label": "a"}, "fair": number % 4 != 0}
    intent = replace(call.intent, task=TASK)
    await replace(call, intent=intent, example=replace(call.example, **new)).make(store)


async def request_of(store: Store, newest: int | None = None) -> ValidationRequest:
    dataset: DatasetRef = await store.examples.snapshot(TASK, 1)
    return ValidationRequest(
        task=TASK, settings_digest="d", dataset=dataset, candidate=1, incumbent=None, window_size=100, newest=newest
    )


def fair(first: int) -> list[str]:
    return [f"holdout {number:02}" for number in range(first, 40) if number % 4]


async def test_the_embedded_model_answers_every_fair_example_one_after_the_other(store: Store) -> None:
    model = Slow()
    scored = await HoldOut(store, model, Scorer()).comparisons(settings_of("embedded"), await request_of(store), 1)
    assert (model.asked, model.most_at_once) == (fair(0), 1)
    assert len(scored) == 30


async def test_a_server_is_asked_the_newest_fair_examples_as_many_at_a_time_as_may_be_in_flight(store: Store) -> None:
    model = Slow()
    scored = await HoldOut(store, model, Scorer()).comparisons(settings_of("ollama"), await request_of(store), 1)
    assert (sorted(model.asked), model.most_at_once) == (fair(0)[-20:], 3)
    assert [one.score for one in scored] == [1.0] * 20


@pytest.mark.parametrize("backend", ["embedded", "ollama"])
async def test_a_rollback_asks_fewer(store: Store, backend: str) -> None:
    model = Slow()
    await HoldOut(store, model, Scorer()).comparisons(settings_of(backend), await request_of(store, newest=5), 1)
    assert sorted(model.asked) == fair(0)[-5:]


async def test_examples_that_came_after_the_snapshot_are_not_among_them(store: Store) -> None:
    request, model = await request_of(store), Slow()
    await add(store, 99, Split.HOLDOUT)
    await HoldOut(store, model, Scorer()).comparisons(settings_of("ollama"), request, 1)
    assert "holdout 99" not in model.asked


async def test_an_answer_that_is_none_disagrees_and_a_dead_server_ends_it(store: Store) -> None:
    request, settings = await request_of(store), settings_of("ollama")
    scored = await HoldOut(store, Slow(BadAnswer("no JSON")), Scorer()).comparisons(settings, request, 1)
    assert [one.score for one in scored].count(0.0) == 3
    assert len(scored) == 20
    dead = Slow(ServerDown("nobody listens"))
    with pytest.raises(ServerDown):
        await HoldOut(store, dead, Scorer()).comparisons(settings, request, 1)
    asked = len(dead.asked)
    await asyncio.sleep(0.05)
    assert len(dead.asked) == asked < 20
