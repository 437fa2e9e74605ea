"""Keys, configurations, and a task whose clients and worker share one converter."""

import base64
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client
from temporalio.converter import DataConverter

from apprentice.settings import TaskSettings, TemporalSettings
from client import Apprentice
from client.payloads import converter_of
from tests.conftest import DevEnv
from workers.worker import worker

# The fixture of the workflows' tests, for a task of its own.
from tests.workflows.conftest import settings_of as settings_of  # isort: skip

KEY_ENV = "PAYLOAD_KEYS"
Encrypted = Callable[..., AbstractAsyncContextManager[Apprentice]]


def new_key() -> str:
    return base64.b64encode(os.urandom(32)).decode()


def converter(folder: Path, keys: str | None = None, **settings: Any) -> DataConverter:
    """As a configuration in `folder` would have it."""
    values = {"payload_storage": str(folder / "payloads")} | settings
    if keys is not None:
        values["encryption_key_env"] = KEY_ENV
    return converter_of(TemporalSettings(**values), {KEY_ENV: keys or ""})


async def client_of(dev_env: DevEnv, converter: DataConverter) -> Client:
    return await Client.connect(dev_env.address, data_converter=converter)


@pytest.fixture
def serving(dev_env: DevEnv, tmp_path: Path) -> Callable[..., AbstractAsyncContextManager[Apprentice]]:
    """`serving(settings, converter)` runs a worker for the task and yields a client that has the same converter."""

    @asynccontextmanager
    async def serve(
        settings: TaskSettings, converter: DataConverter, *, apply: bool = True, **options: Any
    ) -> AsyncIterator[Apprentice]:
        queue = f"queue-{settings.name}"
        client = await client_of(dev_env, converter)
        async with worker(client, f"sqlite:///{tmp_path}/store.db", queue, **options):
            apprentice = Apprentice(client, task_queue=queue, concurrency=100)
            if apply:
                await apprentice.apply(settings)
            yield apprentice

    return serve
