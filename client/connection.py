"""The connection to Temporal, from the standard environment and profile (TEMPORAL_ADDRESS, temporal.toml)."""

import asyncio

from temporalio.client import Client
from temporalio.converter import DataConverter
from temporalio.envconfig import ClientConfig
from temporalio.service import RPCError

from client.errors import NoServer
from client.payloads import NO_SETTINGS

DEFAULT_ADDRESS = "localhost:7233"
CONNECT_SECONDS = 10.0


async def connect(address: str | None = None, converter: DataConverter = NO_SETTINGS) -> Client:
    """A connected client; `address` overrides the environment. Raises `NoServer`."""
    settings = ClientConfig.load_client_connect_config()
    if address:
        settings["target_host"] = address
    target = settings.setdefault("target_host", DEFAULT_ADDRESS)
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            return await Client.connect(**settings, data_converter=converter)
    except (RuntimeError, RPCError, TimeoutError) as error:
        raise NoServer(
            f"no Temporal server answers at {target}; start one with `apprentice up`, or set TEMPORAL_ADDRESS"
        ) from error
