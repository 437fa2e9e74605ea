"""A store in a file of its own, and calls to fill it with."""

import hashlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from activities.store import Example, ExampleKey, Given, Intent, Settled, Store
from apprentice.messages import Answer, Source, Split

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Call:
    """Everything about one paid call of the task `tickets`."""

    intent: Intent
    answer: Answer
    example: Example

    def with_request_id(self, request_id: str) -> "Call":
        return replace(self, intent=replace(self.intent, request_id=request_id))

    async def make(self, store: Store) -> Settled:
        await store.journal.intend(self.intent, NOW)
        return await store.journal.answered(self.intent, self.answer, self.example, NOW)


def make_call(text: str, cost: str = "0.001", **intent: Any) -> Call:
    """A call whose request id and input follow from `text`; every fifth or so is hold-out."""
    input_hash = hashlib.sha256(text.encode()).hexdigest()
    values: dict[str, Any] = {
        "task": "tickets",
        "request_id": f"r-{text}",
        "input_hash": input_hash,
        "admission": "first",
        "provider": "simulated",
        "model": "teacher",
        "idempotency_key": f"key-{text}",
        "upper_bound": Decimal("0.01"),
    }
    output = {"category": f"c{len(text)}", "note": "naïve ✓"}
    example = Example(
        task="tickets",
        schema_version=1,
        request_id=f"r-{text}",
        input_hash=input_hash,
        split=Split.HOLDOUT if input_hash[0] in "012" else Split.TRAIN,
        input={"text": text},
        output=output,
        provider="simulated",
        model="teacher",
        created_at=NOW,
    )
    answer = Answer(source=Source.REMOTE, output=output, model="teacher", cost=Decimal(cost), latency_seconds=0.25)
    return Call(Intent(**(values | intent)), answer, example)


def labelled(call: Call, output: dict[str, Any] | None, **more: Any) -> Given:
    """What a person said of that call: the right output, or None for a wrong answer."""
    key = ExampleKey(call.intent.task, 1, call.intent.input_hash)
    correct = None if output is not None else False
    scores = dict.fromkeys(("served_score", "teacher_score", "local_score", "agreement"))
    score = more.get("teacher_score")
    names = {"teacher": "simulated teacher", "refuted": None, "served_score": score}
    return Given(**scores | {"key": key, "request_id": call.intent.request_id, "output": output, "correct": correct}
                 | names | more)  # fmt: skip


@pytest.fixture
def call() -> Callable[..., Call]:
    return make_call


@pytest.fixture
def now() -> datetime:
    return NOW


@pytest.fixture
def file_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/store.db"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    """Every test that takes a `url` or a `store` runs on both databases."""
    fixture = "file_url" if request.param == "sqlite" else "postgres_url"
    found: str = request.getfixturevalue(fixture)
    return found


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    async with await Store.open(url) as store:
        yield store
