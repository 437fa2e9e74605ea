"""What all tests share: the order they run in, and one real Temporal dev server for those that need it.

No test talks to a server that was running before: what the environment says about one is put aside.

Several processes can share the tests (`make test`): each has servers, ports and folders of its own. A session is a
process's. Nothing is built here: `make server models` has done that before, and a build that is missing is locked.
"""

import os
import signal
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import pytest
import pytest_asyncio
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import TimeSkipper, TimeSkippingConfig

from tests.postgres import PostgresServer
from tests.servers.llama_cpp import NoLlamaCpp
from tests.servers.llama_cpp import find_binary as find_llama_cpp
from tests.servers.ollama import NoOllama, OllamaServer
from tests.servers.ollama import find_binary as find_ollama
from workers.dev_server import DevServer, dev_server
from workers.temporal_binary import TIME_SKIPPING_SERVER, NoTemporalError, find_binary, is_new_enough

SERVER_FIXTURES = {"temporal_binary", "dev_env", "time_skipper"}
ORDER = ("unit", "slow", "temporal", "crash")


@dataclass(frozen=True)
class DevEnv:
    """A real server that all tests of a session share: take task queues and workflow ids of your own."""

    client: Client
    server: DevServer

    @property
    def address(self) -> str:
        return self.server.address


# How long an example takes says nothing on a machine that others use too.
hypothesis.settings.register_profile("apprentice", deadline=None)
hypothesis.settings.load_profile("apprentice")


def pytest_configure(config: pytest.Config) -> None:
    """Put the user's own Temporal and PostgreSQL settings aside, for this process and its children."""
    for name in [name for name in os.environ if name.startswith(("TEMPORAL_", "PG"))]:
        del os.environ[name]
    os.environ["TEMPORAL_CONFIG_FILE"] = os.devnull
    # A script's background job ignores Ctrl-C, and so would all that the tests start and interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs a server, then run the fast tests first."""
    for item in items:
        if SERVER_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.temporal)
        if not any(item.get_closest_marker(name) for name in ORDER):
            item.add_marker(pytest.mark.unit)
    items.sort(key=lambda item: max(rank for rank, name in enumerate(ORDER) if item.get_closest_marker(name)))


@pytest.fixture(scope="session")
def temporal_binary() -> Path:
    """The Temporal CLI, if possible one that can skip time."""
    try:
        return find_binary(TIME_SKIPPING_SERVER)
    except NoTemporalError:
        return find_binary()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def dev_env(temporal_binary: Path) -> AsyncIterator[DevEnv]:
    """A dev server, in memory, with a client that speaks pydantic."""
    async with dev_server(binary=temporal_binary, fresh=True) as server:
        yield DevEnv(await Client.connect(server.address, data_converter=pydantic_data_converter), server)


@pytest.fixture
def time_skipper(temporal_binary: Path, dev_env: DevEnv) -> TimeSkipper:
    """Skips time in one workflow, with its children and later runs, on the shared server; others keep their clock.

    `await time_skipper.fast_forward(handle, timedelta(days=3))` returns once the workflow's clock is there. Start the
    workflow through `time_skipper.client` where its children have to follow.
    """
    if not is_new_enough(temporal_binary, TIME_SKIPPING_SERVER):
        pytest.skip(f"time skipping needs server {'.'.join(map(str, TIME_SKIPPING_SERVER))} or newer")
    return TimeSkipper(dev_env.client, config=TimeSkippingConfig(enabled=False))


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A real PostgreSQL that all tests of a session share: take a database of your own (`postgres_url`)."""
    server = PostgresServer.start()
    yield server
    server.remove()


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """A new, empty database."""
    url = postgres_server.create_database()
    yield url
    postgres_server.drop_database(url)


@pytest.fixture(scope="session")
def ollama_server() -> Iterator[OllamaServer]:
    """A real Ollama that all tests of a session share, without models: make some with names of your own."""
    try:
        server = OllamaServer(find_ollama())
    except NoOllama as reason:
        pytest.skip(str(reason))
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="session")
def llama_server_binary() -> Path:
    """llama.cpp's server, built if it is not there."""
    try:
        return find_llama_cpp()
    except NoLlamaCpp as error:
        pytest.skip(str(error))
