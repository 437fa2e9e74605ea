"""A stored payload goes when no run that the server still has can ask for it, and never before."""

import os
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from client import Apprentice
from client.payloads.folder import FolderBlobs
from client.payloads.storage import folder_of
from client.payloads.sweep import sweep
from tests.client.payloads.conftest import client_of, converter
from tests.conftest import DevEnv
from tests.workflows.conftest import SettingsOf
from workflows.ids import lifecycle_id

LARGE = {"text": "a large ticket " * 20_000}
RETENTION = timedelta(days=30)


def age(folder: Path, by: timedelta) -> None:
    for path in folder.rglob("*"):
        then = path.stat().st_mtime - by.total_seconds()
        os.utime(path, (then, then))


@pytest.fixture
def blobs(tmp_path: Path) -> FolderBlobs:
    return FolderBlobs(tmp_path / "payloads")


async def names(blobs: FolderBlobs) -> set[str]:
    return {blob.name async for blob in blobs.stored("default")}


async def test_what_a_running_task_was_sent_is_kept_however_old_it_is(
    serving: Callable[..., AbstractAsyncContextManager[Apprentice]],
    settings_of: SettingsOf,
    tmp_path: Path,
    blobs: FolderBlobs,
) -> None:
    settings = settings_of()
    async with serving(settings, converter(tmp_path)) as apprentice:
        await apprentice.run(settings.name, LARGE, deadline=20)
        before = await names(blobs)
        assert before
        assert await sweep(apprentice.client, blobs, RETENTION, datetime.now(UTC) + timedelta(days=400)) == 0
        # What is older than the run was sent to a run that the server no longer has.
        left = f"{folder_of('default', lifecycle_id(settings.name))}/{'0' * 64}"
        await blobs.put(left, b"left by a run before")
        path = tmp_path / "payloads" / left
        os.utime(path, (path.stat().st_mtime - 40 * 86400,) * 2)
        assert await sweep(apprentice.client, blobs, RETENTION, datetime.now(UTC)) == 1
        assert await names(blobs) == before


async def test_what_no_workflow_asks_for_goes_after_the_retention(
    dev_env: DevEnv, tmp_path: Path, blobs: FolderBlobs
) -> None:
    client = await client_of(dev_env, converter(tmp_path))
    young, old, other = (f"{folder_of(*place)}/{n * 64}" for n, place in PLACES.items())
    for name in (young, old, other):
        await blobs.put(name, b"data")
    age(tmp_path / "payloads", timedelta(days=31))
    await blobs.put(young, b"data")
    assert await sweep(client, blobs, RETENTION, datetime.now(UTC)) == 1
    assert await names(blobs) == {young}
    assert await blobs.get(other) == b"data", "another namespace's payloads are not ours to judge"


PLACES = {"1": ("default", "nobody"), "2": ("default", "nobody"), "3": ("elsewhere", "nobody")}


async def test_what_a_killed_writer_left_is_cleared(tmp_path: Path, blobs: FolderBlobs) -> None:
    await blobs.put(f"default/w/{'0' * 64}", b"data")
    part = tmp_path / "payloads" / "default" / "w" / ".0123.part"
    part.write_bytes(b"half")
    assert await names(blobs) == {f"default/w/{'0' * 64}"}
    assert part.exists(), "somebody may be writing it"
    os.utime(part, (0, 0))
    await names(blobs)
    assert not part.exists()
