"""What a demo runs: generated tickets or a user's recorded traffic, and the configuration for it."""

import random
import re
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any

from apprentice.datasets import input_hash
from apprentice.simulation import Recorded
from client.cli.demo_folder import models_folder
from client.cli.generated_tickets import OUTPUT_SCHEMA, generate
from client.cli.traffic import DEFAULT_MODEL, inferred, read_traffic

TASK = "classify_ticket"
TICKETS = 2_000
LATENCY_SECONDS, LATENCY_SPREAD = 0.1, 0.3

type Story = tuple[dict[str, Any], list[Recorded]]
"""A configuration as it is written to YAML, and the requests."""


def tickets(count: int | None, seed: int) -> Story:
    """Generated support tickets, 2,000 unless `count` says otherwise."""
    rows = generate(count or TICKETS, random.Random(seed))
    requests = [Recorded(f"ticket-{n}", row["input"], row["output"]) for n, row in enumerate(rows, start=1)]
    task = _task(TASK, {"text": "str"}, OUTPUT_SCHEMA, "structured_match", seed)
    return _configuration(task | {"description": "Sort support tickets by category and priority"}), requests


def recorded(file: Path, count: int | None, seed: int) -> Story:
    """The first `count` rows of recorded traffic, all by default, with schemas inferred from them.

    Raises `Failed` (2) naming the lines at fault.
    """
    name = task_name(file)
    rows = dict(islice(read_traffic(name, file).items(), count))
    settings = inferred(name, file, rows)
    task = _task(name, settings.input_schema, settings.output_schema, settings.evaluator, seed)
    return _configuration(task), list(rows.values())


def task_name(file: Path) -> str:
    """A task's name from a file's."""
    name = re.sub(r"[^a-z0-9]+", "_", file.stem.lower()).strip("_")[:63]
    return name if re.match(r"[a-z]", name) else "traffic"


def _task(
    name: str, input_schema: dict[str, Any], output_schema: dict[str, Any], evaluator: str, seed: int
) -> dict[str, Any]:
    simulation = {"latency_seconds": LATENCY_SECONDS, "latency_spread": LATENCY_SPREAD, "seed": seed}
    return {
        "name": name,
        "input_schema": input_schema,
        "output_schema": output_schema,
        "evaluator": evaluator,
        "remote": {
            "provider": "recorded",
            "model": DEFAULT_MODEL,
            "traffic": "traffic.jsonl",
            "simulation": simulation,
        },
        "local": {"backend": "embedded", "model_dir": models_folder(), "fine_tune_batch_size": 100},
        "confidence_thresholds": {
            "phase1_to_phase2": 100,
            "phase2_to_phase3": 0.85,
            "coaching_trigger": 0.70,
            "emergency_threshold": 0.50,
        },
        "sampling": {"decay_function": "exponential", "min_floor": 0.02, "trend_sensitivity": 0.05},
    }


def _configuration(task: dict[str, Any]) -> dict[str, Any]:
    return {"tasks": [task], "store": {"url": "sqlite:///apprentice.db"}}


def teacher(requests: Iterable[Recorded]) -> dict[str, dict[str, Any]]:
    """What the recorded model answers to each request, by request id: to a repeated input what it said first."""
    first: dict[str, dict[str, Any]] = {}
    return {one.request_id: first.setdefault(input_hash(one.input), one.output) for one in requests}
