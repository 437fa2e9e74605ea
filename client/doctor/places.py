"""Where things are kept: the store, and the folder of the models."""

import asyncio
import os
from pathlib import Path

from activities.store.errors import StoreError
from activities.store.inspecting import schema_of
from activities.store.tables import SCHEMA
from apprentice.settings import Config
from client.doctor.findings import Finding, found


class NotWritable(Exception):
    """A folder that is needed and cannot be used; the message says which."""


async def store(config: Config) -> Finding:
    """The store can be read; nothing is changed in it."""

    async def check() -> str:
        schema = await asyncio.to_thread(schema_of, config.store.url)
        if schema is None:
            return "will be made when a worker starts"
        return "is there" if schema == SCHEMA else f"is there; schema {schema} is upgraded when a worker starts"

    return await found("store", check(), StoreError)


async def folder(place: str) -> Finding:
    """A folder for models that can be written to, or made."""

    async def check() -> str:
        return await asyncio.to_thread(_writable, Path(place))

    return await found("models", check(), NotWritable)


def _writable(place: Path) -> str:
    nearest = next(folder for folder in (place, *place.parents) if folder.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        raise NotWritable(f"{place} cannot be written to: check local.model_dir and the rights of {nearest}")
    return f"{place}" if nearest == place else f"{place} will be made"
