"""What we add to a call to a remote model: our adapter, and the whole journaled call, over a bare httpx POST.

    python -m benchmarks.providers [--rounds 5] [--calls 200]

All three send the same body to the same fake provider on this machine, in turns, so that they meet the same noise. The
adapter writes the prompt, sends, reads, validates and prices; the journaled call (the activity `ask_remote`) also
commits the intent before and the answer with its example after. Milliseconds a call, medians over the rounds.
"""

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any, NamedTuple

import httpx
from rich.console import Console
from rich.table import Table
from temporalio.testing import ActivityEnvironment

from activities.remote.ask import AskRemote
from activities.remote.dialect import Dialect
from activities.remote.model import Question
from activities.remote.registry import DIALECTS, remote_model
from activities.store import Store
from apprentice import prompts
from apprentice.messages import RemoteCall, TaskRequest
from apprentice.settings import TaskSettings
from tests.fakes.provider.process import FakeProvider
from workers.registration import utc_now

CALLERS = (1, 16)
LIMIT = Decimal(1)
INPUT = {"text": "I was charged twice for the same parcel, and nobody answers the phone. Please have it refunded."}

Ask = Callable[[str], Awaitable[object]]


class Latency(NamedTuple):
    """Milliseconds of one call."""

    p50: float
    p99: float


def task(provider: str, fake: FakeProvider) -> TaskSettings:
    """A classification task at the fake provider."""
    remote: dict[str, Any] = {"provider": provider, "model": "teacher", "api_key_env": "BENCHMARK_KEY"}
    price = {"input_per_million": "3", "output_per_million": "15"}
    return TaskSettings.model_validate(
        {
            "name": f"tickets_{provider}",
            "description": "Classify a support ticket by category and priority",
            "input_schema": {"text": "str"},
            "output_schema": {"category": ["billing", "shipping", "account"], "priority": "int"},
            "remote": remote | {"base_url": fake.url(provider), "price": price},
        }
    )


def request(name: str) -> TaskRequest:
    return TaskRequest(request_id=name, task="tickets", input=INPUT | {"text": f"{INPUT['text']} {name}"})


def question(settings: TaskSettings, name: str) -> Question:
    one = request(name)
    return Question(one, prompts.build(settings, one.input), name, LIMIT, settings.remote.max_output_tokens)


def bare(settings: TaskSettings, dialect: Dialect, client: httpx.AsyncClient) -> Ask:
    """The floor: the body is ready, nobody looks at the answer."""
    body, headers = dialect.body(question(settings, "bare").prompt, 512), dialect.headers("bare")

    async def ask(name: str) -> object:
        return (await client.post(dialect.url, json=body, headers=headers)).content

    return ask


def adapter(settings: TaskSettings) -> Ask:
    model = remote_model(settings.remote, settings)
    return lambda name: model.ask(question(settings, name))


async def journaled(settings: TaskSettings, store: Store) -> Ask:
    digest, activity = await store.settings.put(settings), AskRemote(store, utc_now)

    async def ask(name: str) -> object:
        call = RemoteCall(
            request=request(name).model_copy(update={"task": settings.name}),
            admission=name,
            settings_digest=digest,
            schema_version=1,
            reserved=LIMIT,
        )
        return await ActivityEnvironment().run(activity.ask_remote, call)

    return ask


async def measure(ask: Ask, callers: int, calls: int, name: str) -> Latency:
    """`calls` calls, `callers` at a time."""
    took: list[float] = []

    async def caller(number: int) -> None:
        for n in range(calls // callers):
            began = time.perf_counter()
            await ask(f"{name}-{number}-{n}")
            took.append((time.perf_counter() - began) * 1e3)

    await asyncio.gather(*(caller(number) for number in range(callers)))
    return Latency(statistics.median(took), statistics.quantiles(took, n=100)[98])


async def compare(settings: TaskSettings, rounds: int, calls: int) -> dict[int, dict[str, Latency]]:
    """Medians over the rounds, by callers and by way of asking."""
    with tempfile.TemporaryDirectory() as folder:
        async with httpx.AsyncClient(timeout=60) as client, await Store.open(f"sqlite:///{folder}/store.db") as store:
            dialect = DIALECTS[settings.remote.provider](settings.remote, settings)
            ways = {"bare": bare(settings, dialect, client), "adapter": adapter(settings)}
            ways["journaled"] = await journaled(settings, store)
            for way, ask in ways.items():  # connections and statements are made once
                await measure(ask, 16, 32, f"{way}-warm")
            found: dict[int, dict[str, list[Latency]]] = {n: {way: [] for way in ways} for n in CALLERS}
            for number in range(rounds):
                for callers in CALLERS:
                    for way, ask in ways.items():
                        found[callers][way].append(await measure(ask, callers, calls, f"{way}-{callers}-{number}"))
    return {callers: {way: _median(each) for way, each in ways.items()} for callers, ways in found.items()}


def _median(each: list[Latency]) -> Latency:
    return Latency(*(statistics.median(values) for values in zip(*each, strict=True)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=200, help="of each kind, in each round")
    given = parser.parse_args()
    os.environ["BENCHMARK_KEY"] = "a-key-of-no-value"
    shown = Table(title="ms a call, p50 / p99; ratios are of the p50 of the bare POST")
    for title in ("provider", "callers", "bare POST", "adapter", "ratio", "journaled", "ratio"):
        shown.add_column(title, justify="right")
    with FakeProvider() as fake:
        for provider in DIALECTS:
            for callers, ways in asyncio.run(compare(task(provider, fake), given.rounds, given.calls)).items():
                cells = [provider, str(callers)]
                for way, latency in ways.items():
                    cells.append(f"{latency.p50:.2f} / {latency.p99:.2f}")
                    if way != "bare":
                        cells.append(f"{latency.p50 / ways['bare'].p50:.2f}")
                shown.add_row(*cells)
    Console(width=120).print(shown)


if __name__ == "__main__":
    main()
