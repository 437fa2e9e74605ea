"""What the store takes of a request, on SQLite and on PostgreSQL: requests a second and latency.

    python -m benchmarks.store [--rounds 3] [--url postgresql://USER@HOST/EMPTY_DATABASE]

A request is an intent, then an answer with its example, each committed to the disk. Without --url a PostgreSQL is
started on this machine with its usual, safe settings. The databases take turns; every figure is the median of the
rounds, the ratio the median of the rounds' ratios. An absolute rate says little on a shared machine, a ratio more.
"""

import argparse
import asyncio
import hashlib
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from activities.store import Example, Intent, Store
from apprentice.messages import Answer, Source, Split
from tests.postgres import PostgresServer

# Requests of one round, by callers.
REQUESTS = {1: 200, 8: 800, 32: 1600}
NOW = datetime(2026, 3, 1, tzinfo=UTC)


class Measured(NamedTuple):
    """Requests a second; latency in milliseconds; CPU of this process for a request, in microseconds."""

    rate: float
    p50: float
    cpu: float


async def measure(store: Store, callers: int, requests: int, name: str) -> Measured:
    """`requests` requests, `callers` at a time."""
    latencies: list[float] = []

    async def caller(number: int) -> None:
        for n in range(requests // callers):
            began = time.perf_counter()
            await answer(store, f"{name}-{callers}-{number}-{n}")
            latencies.append(time.perf_counter() - began)

    began, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(caller(number) for number in range(callers)))
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    return Measured(len(latencies) / seconds, statistics.median(latencies) * 1e3, cpu / len(latencies) * 1e6)


async def answer(store: Store, text: str) -> None:
    """One paid call."""
    hashed = hashlib.sha256(text.encode()).hexdigest()
    intent = Intent("tickets", text, hashed, "first", "simulated", "teacher", hashed, Decimal("0.01"))
    paid = Answer(source=Source.REMOTE, output={"category": "billing"}, model="teacher", cost=Decimal("0.001"))
    place = ("tickets", 1, text, hashed, Split.TRAIN)
    example = Example(*place, {"text": text}, paid.output, "simulated", "teacher", NOW)
    await store.journal.intend(intent, NOW)
    await store.journal.answered(intent, paid, example, NOW)


@contextmanager
def server(url: str | None) -> Iterator[str]:
    """The PostgreSQL to measure."""
    if url is not None:
        yield url
        return
    ours = PostgresServer.start(durable=True)
    try:
        yield ours.create_database()
    finally:
        ours.remove()


async def run(url: str, rounds: int) -> dict[int, list[dict[str, Measured]]]:
    """All rounds, by callers."""
    results: dict[int, list[dict[str, Measured]]] = {callers: [] for callers in REQUESTS}
    with tempfile.TemporaryDirectory() as folder:
        async with (
            await Store.open(f"sqlite:///{folder}/store.db") as file,
            await Store.open(url) as postgres,
        ):
            stores = {"sqlite": file, "postgresql": postgres}
            for name, store in stores.items():  # connections, statements and caches are made once
                await measure(store, 32, 64, f"{name}-warm")
            for number in range(rounds):
                for callers, requests in REQUESTS.items():
                    results[callers].append(
                        {name: await measure(store, callers, requests, f"{number}") for name, store in stores.items()}
                    )
    return results


def table(results: dict[int, list[dict[str, Measured]]]) -> Table:
    """A line for each number of callers."""
    shown = Table(title="the store: intent, answer and example of a request")
    for title in ("callers", "SQLite", "p50 ms", "CPU us", "PostgreSQL", "p50 ms", "CPU us", "PostgreSQL/SQLite"):
        shown.add_column(title, justify="right")
    for callers, rounds in results.items():
        cells = [str(callers)]
        for name in ("sqlite", "postgresql"):
            rate, p50, cpu = (statistics.median(each) for each in zip(*(one[name] for one in rounds), strict=True))
            cells += [f"{rate:,.0f}/s", f"{p50:.1f}", f"{cpu:,.0f}"]
        ratio = statistics.median(one["postgresql"].rate / one["sqlite"].rate for one in rounds)
        shown.add_row(*cells, f"{ratio:.2f}")
    return shown


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--url", help="an empty PostgreSQL database")
    given = parser.parse_args()
    with server(given.url) as url:
        Console().print(table(asyncio.run(run(url, given.rounds))))


if __name__ == "__main__":
    main()
