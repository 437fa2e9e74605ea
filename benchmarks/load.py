"""A load and a task to send it to: what the benchmarks share."""

import asyncio
import random
import statistics
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

from apprentice.settings import TaskSettings
from apprentice.state import LifecycleState
from benchmarks.worker_process import QUEUE
from client import Apprentice
from client.apprentice import TASK_TIMEOUT
from client.cli.generated_tickets import generate
from workflows import TaskLifecycleWorkflow
from workflows.ids import lifecycle_id
from workflows.task_lifecycle import LifecycleStart

NEVER = 10**9

Ask = Callable[[str], Awaitable[object]]


class Measured(NamedTuple):
    """Requests a second; latencies in milliseconds."""

    rate: float
    p50: float
    p99: float


async def measure(ask: Ask, callers: int, requests: int, rng: random.Random) -> Measured:
    """Send `requests` by `callers` that each wait for an answer before the next."""
    texts = [row["input"]["text"] for row in generate(requests, rng)]
    waiting, latencies = iter(texts), []

    async def caller() -> None:
        for text in waiting:
            begin = time.perf_counter()
            await ask(text)
            latencies.append((time.perf_counter() - begin) * 1000)

    begin = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(callers)))
    seconds = time.perf_counter() - begin
    cuts = statistics.quantiles(latencies, n=100, method="inclusive")
    return Measured(requests / seconds, cuts[49], cuts[98])


def settings(name: str, folder: Path, call_seconds: float = 0.0) -> TaskSettings:
    """A ticket task that never trains by itself; its teacher takes this long to answer."""
    return TaskSettings.model_validate(
        {
            "name": name,
            "input_schema": {"text": "str"},
            "output_schema": {"category": "str", "priority": "int"},
            "evaluator": "structured_match",
            "match_fields": ["category", "priority"],
            "confidence_thresholds": {"phase1_to_phase2": NEVER},
            "remote": {
                "provider": "simulated",
                "model": "instant",
                "price": {"input_per_million": "3", "output_per_million": "15"},
                "simulation": {"latency_seconds": call_seconds, "latency_spread": 0},
            },
            "local": {"model_dir": str(folder), "fine_tune_batch_size": NEVER},
            "budget": {"daily": "1000000"},
        }
    )


async def start(apprentice: Apprentice, settings: TaskSettings, state: LifecycleState) -> Ask:
    """Start a task in the given state; how to ask it."""
    await apprentice.client.start_workflow(
        TaskLifecycleWorkflow.run,
        LifecycleStart(settings=settings, state=state),
        id=lifecycle_id(settings.name),
        task_queue=QUEUE,
        task_timeout=TASK_TIMEOUT,
    )
    return lambda text: apprentice.run(settings.name, {"text": text})
