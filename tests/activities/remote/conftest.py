"""A task with a remote model, as the tests want it."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from activities.store import Store
from apprentice.settings import RemoteSettings, TaskSettings

pytest.register_assert_rewrite("tests.activities.remote.suite")
PRICE = {"input_per_million": "3", "output_per_million": "15"}


def make_settings(simulation: dict[str, Any] | None = None, output_schema: Any = None, **remote: Any) -> TaskSettings:
    """Instant and faultless unless `simulation` says otherwise."""
    values: dict[str, Any] = {"provider": "simulated", "model": "teacher", "price": PRICE}
    return TaskSettings(
        name="tickets",
        input_schema={"text": "str"},
        output_schema=output_schema or {"category": ["billing", "shipping", "other"], "priority": "int"},
        remote=RemoteSettings.model_validate(
            values | {"simulation": {"latency_seconds": 0} | (simulation or {})} | remote
        ),
    )


@pytest.fixture
def settings() -> Callable[..., TaskSettings]:
    return make_settings


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with await Store.open(f"sqlite:///{tmp_path}/store.db") as store:
        yield store
