"""What encryption and references cost, and what one caller's large requests do to the others.

    python -m benchmarks.payloads [--rounds 3] [--requests 120]

Plain, encrypted and stored payloads take turns in every round, on one server, against tasks of their own; a ratio is
the median of the rounds' ratios to plain payloads of the same size. Plain payloads of 200 KiB travel inline, which no
configuration allows (it is what references are for): they are the floor. The models answer at once.
"""

import argparse
import asyncio
import base64
import os
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import chain
from pathlib import Path
from uuid import uuid4

from rich.console import Console
from rich.table import Table
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import DataConverter

from apprentice.settings import TaskSettings, TemporalSettings
from client import Apprentice
from client.payloads import converter_of
from workers.dev_server import dev_server
from workers.worker import worker

KEY_ENV = "APPRENTICE_BENCHMARK_KEY"
KIB = 1024
SIZES = (1 * KIB, 90 * KIB, 200 * KIB)
NEIGHBOURS = (256 * KIB, 512 * KIB, 1024 * KIB, 2048 * KIB, 4096 * KIB)
CALLERS = 4
NEVER = 10**9


def settings() -> TaskSettings:
    """A task whose teacher answers at once and that never trains."""
    return TaskSettings.model_validate(
        {
            "name": f"payloads_{uuid4().hex[:8]}",
            "input_schema": {"text": "str"},
            "output_schema": {"category": ["billing", "shipping", "account"]},
            "remote": {
                "provider": "simulated",
                "model": "teacher",
                "price": {"input_per_million": "0", "output_per_million": "0"},
                "simulation": {"latency_seconds": 0},
            },
            "confidence_thresholds": {"phase1_to_phase2": NEVER},
        }
    )


def converters(folder: Path) -> dict[str, DataConverter]:
    """By name, the floor first."""
    environ = {KEY_ENV: base64.b64encode(os.urandom(32)).decode()}
    stored = TemporalSettings(payload_storage=str(folder), max_payload=8 * KIB * KIB)
    encrypted = stored.model_copy(update={"encryption_key_env": KEY_ENV})
    return {
        "inline": pydantic_data_converter,
        "configured": converter_of(stored, environ),
        "encrypted": converter_of(encrypted, environ),
    }


@asynccontextmanager
async def task(address: str, converter: DataConverter, folder: Path) -> AsyncIterator[tuple[Apprentice, str]]:
    """A task with a worker of its own, and a client that bounds nothing."""
    client, one = await Client.connect(address, data_converter=converter), settings()
    async with worker(client, f"sqlite:///{folder}/{one.name}.db", one.name):
        apprentice = Apprentice(client, task_queue=one.name, concurrency=CALLERS + 1)
        apprentice._largest = 8 * KIB * KIB
        await apprentice.apply(one)
        await apprentice.run(one.name, {"text": "warm"})
        yield apprentice, one.name


async def rate(apprentice: Apprentice, name: str, size: int, count: int) -> float:
    """Requests a second."""

    async def caller(number: int) -> None:
        for n in range(number, count, CALLERS):
            await apprentice.run(name, {"text": f"{n} {uuid4().hex}".ljust(size, "x")})

    began = time.perf_counter()
    await asyncio.gather(*map(caller, range(CALLERS)))
    return count / (time.perf_counter() - began)


async def beside(apprentice: Apprentice, name: str, size: int, count: int) -> tuple[float, float]:
    """p50 and p95 in milliseconds of small requests while one caller sends requests of this size (0: nobody does)."""
    done = asyncio.Event()

    async def neighbour() -> None:
        while size and not done.is_set():
            await apprentice.run(name, {"text": uuid4().hex.ljust(size, "x")})

    async def caller(number: int) -> list[float]:
        times = []
        for n in range(number, count, CALLERS):
            began = time.perf_counter()
            await apprentice.run(name, {"text": f"{n} {uuid4().hex}".ljust(KIB, "x")})
            times.append(1000 * (time.perf_counter() - began))
        return times

    large = asyncio.create_task(neighbour())
    times = sorted(chain.from_iterable(await asyncio.gather(*map(caller, range(CALLERS)))))
    done.set()
    await large
    return times[len(times) // 2], times[int(len(times) * 0.95)]


async def measure(rounds: int, requests: int) -> None:
    """All of it, on a server of its own."""
    console = Console()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        async with dev_server(fresh=True) as server:
            console.print(await _rates(server.address, folder, rounds, requests))
            console.print(await _neighbours(server.address, folder, rounds, requests))


async def _rates(address: str, folder: Path, rounds: int, requests: int) -> Table:
    table = Table("input", "payloads", "requests/s", "of inline", title=f"{CALLERS} callers")
    ways = converters(folder / "payloads")
    for size in SIZES:
        found: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(rounds):
            for way, converter in ways.items():
                async with task(address, converter, folder) as (apprentice, name):
                    found[way].append(await rate(apprentice, name, size, requests))
        for way, rates in found.items():
            ratio = statistics.median(one / floor for one, floor in zip(rates, found["inline"], strict=True))
            table.add_row(f"{size // KIB} KiB", way, f"{statistics.median(rates):.0f}", f"{ratio:.2f}")
    return table


async def _neighbours(address: str, folder: Path, rounds: int, requests: int) -> Table:
    table = Table(
        "one caller sends", "p50 ms", "p95 ms", "p95, of nobody's", title="1 KiB requests of 4 others, encrypted"
    )
    encrypted = converters(folder / "payloads")["encrypted"]
    found: dict[int, list[tuple[float, float]]] = {size: [] for size in (0, *NEIGHBOURS)}
    for _ in range(rounds):
        for size, times in found.items():
            async with task(address, encrypted, folder) as (apprentice, name):
                times.append(await beside(apprentice, name, size, requests))
    for size, times in found.items():
        p50, p95 = (statistics.median(one[n] for one in times) for n in (0, 1))
        ratio = statistics.median(one[1] / none[1] for one, none in zip(times, found[0], strict=True))
        table.add_row(f"{size // KIB:,} KiB" if size else "nothing", f"{p50:.0f}", f"{p95:.0f}", f"{ratio:.2f}")
    return table


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--requests", type=int, default=120)
    options = parser.parse_args()
    asyncio.run(measure(options.rounds, options.requests))
