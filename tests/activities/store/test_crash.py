"""kill -9 of a writer: what was acknowledged is there, what was not is whole or absent."""

import signal
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from activities.store import Store
from apprentice.messages import Split

WRITER = """
import asyncio, hashlib, sys
from datetime import UTC, datetime
from decimal import Decimal
from activities.store import Example, Intent, Store
from apprentice.messages import Answer, Split

NOW = datetime(2026, 3, 1, tzinfo=UTC)

async def writer(store, number):
    for n in range(100_000):
        text = f"{number}-{n}"
        hashed = hashlib.sha256(text.encode()).hexdigest()
        intent = Intent("tickets", text, hashed, "admission", "simulated", "m", hashed, Decimal("0.01"))
        answer = Answer(source="remote", output={"text": text}, model="m", cost=Decimal("0.001"))
        example = Example("tickets", 1, text, hashed, Split.TRAIN, {"text": text}, answer.output, "simulated", "m", NOW)
        await store.journal.intend(intent, NOW)
        print("intent", text, flush=True)
        await store.journal.answered(intent, answer, example, NOW)
        print("answered", text, flush=True)

async def main():
    async with await Store.open(sys.argv[1]) as store:
        await asyncio.gather(*(writer(store, number) for number in range(8)))

asyncio.run(main())
"""


@pytest.mark.crash
@pytest.mark.parametrize("lines", [1, 50, 400])
async def test_kill_9_loses_nothing_that_was_acknowledged(url: str, call: Callable[..., Any], lines: int) -> None:
    command = [sys.executable, "-c", WRITER, url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: ASYNC220
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(lines)]
        process.send_signal(signal.SIGKILL)
        said += process.stdout.read().splitlines(keepends=True)
    acknowledged = [line.split() for line in said if line.endswith("\n")]
    answered = {text for what, text in acknowledged if what == "answered"}
    intended = {text for what, text in acknowledged if what == "intent"}

    async with await Store.open(url) as store:
        ref = await store.examples.snapshot("tickets", 1)
        stored = [example.request_id async for example in store.examples.read(ref, Split.TRAIN)]
        assert answered <= set(stored)
        assert len(stored) == len(set(stored)) == ref.train
        unknown = await store.journal.unknown("tickets")
        assert unknown.calls + len(stored) >= len(intended)
        assert unknown.calls <= 8
        spend = ref.train * Decimal("0.001") + unknown.calls * Decimal("0.01")
        assert await store.journal.spend("tickets") == spend
        for text in stored:
            served = await store.journal.served("tickets", text)
            assert served is not None
            assert served.answer.output == {"text": text}
        assert (await call("after").make(store)).example is not None
