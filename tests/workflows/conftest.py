"""A task of its own for each test, on the shared server, with a worker in this process."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from apprentice.settings import Price, TaskSettings
from client import Apprentice
from tests.conftest import DevEnv
from tests.workflows.traffic import CATEGORIES, clear_seed
from workers.dev_server import DevServer, dev_server
from workers.worker import worker

PRICE = Price.model_validate({"input_per_million": "3", "output_per_million": "15"})

SettingsOf = Callable[..., TaskSettings]
Running = Callable[[TaskSettings], AbstractAsyncContextManager[Apprentice]]


@pytest.fixture
def settings_of(tmp_path: Path) -> SettingsOf:
    """Settings of a ticket task with an instant, free-running teacher, whose rule for `traffic.tickets` is clear.

    Keyword arguments override top-level keys.
    """

    def make(**overrides: Any) -> TaskSettings:
        values: dict[str, Any] = {
            "name": f"tickets_{uuid4().hex[:8]}",
            "input_schema": {"text": "str"},
            "output_schema": {"category": list(CATEGORIES)},
            "evaluator": "exact_match",
            "remote": {
                "provider": "simulated",
                "model": "teacher",
                "price": PRICE.model_dump(),
                "simulation": {"latency_seconds": 0},
            },
            "local": {"model_dir": str(tmp_path / "models")},
        }
        values |= overrides
        if values["remote"]["provider"] == "simulated" and "output_schema" not in overrides:
            simulation = values["remote"].get("simulation", {}) | {"seed": clear_seed(values["name"])}
            values["remote"] = values["remote"] | {"simulation": simulation}
        return TaskSettings.model_validate(values)

    return make


@pytest.fixture
async def server(temporal_binary: Path, tmp_path: Path) -> AsyncIterator[DevServer]:
    """A server of the test's own, its state in a file."""
    async with dev_server(tmp_path / "temporal.db", binary=temporal_binary, fresh=True) as running:
        yield running


@pytest.fixture
def running(dev_env: DevEnv, tmp_path: Path) -> Running:
    """Applies the task and runs a worker for it while the block lasts."""

    @asynccontextmanager
    async def run(settings: TaskSettings, **options: Any) -> AsyncIterator[Apprentice]:
        queue = f"queue-{settings.name}"
        async with worker(dev_env.client, f"sqlite:///{tmp_path}/store.db", queue, **options):
            apprentice = Apprentice(dev_env.client, task_queue=queue, concurrency=100)
            await apprentice.apply(settings)
            yield apprentice

    return run
