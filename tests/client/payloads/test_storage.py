"""A payload over 104 KiB goes by reference: what is stored is whole, encrypted where a key is set, and found again."""

import asyncio
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.client import WorkflowUpdateFailedError
from temporalio.common import RawValue
from temporalio.converter import StorageDriverStoreContext, StorageDriverWorkflowInfo

from client import Apprentice, InvalidInput, PayloadUnreadable
from client.payloads import NO_SETTINGS
from client.payloads.folder import FolderBlobs
from client.payloads.storage import folder_of
from tests.client.payloads.conftest import client_of, converter, new_key
from tests.conftest import DevEnv
from tests.workflows.conftest import SettingsOf
from tests.workflows.traffic import send
from workflows.burst import BY_REFERENCE, LARGEST_INPUT
from workflows.ids import lifecycle_id

Serving = Callable[..., AbstractAsyncContextManager[Apprentice]]
LARGE = {"text": "a large ticket " * 20_000}


def stored(folder: Path) -> list[Path]:
    return [path for path in (folder / "payloads").rglob("*") if path.is_file()]


@pytest.mark.parametrize("encrypted", [False, True], ids=["in the clear", "encrypted"])
async def test_a_large_request_is_answered_and_leaves_a_reference_in_temporal(
    serving: Serving, settings_of: SettingsOf, tmp_path: Path, encrypted: bool
) -> None:
    settings, both = settings_of(), converter(tmp_path, new_key() if encrypted else None)
    async with serving(settings, both) as apprentice:
        first = await apprentice.run(settings.name, LARGE, request_id="one", deadline=20)
        again = await apprentice.run(settings.name, LARGE, request_id="one", attempt=1, deadline=20)
        history = await apprentice.client.get_workflow_handle(lifecycle_id(settings.name)).fetch_history()
    assert again.output == first.output
    assert len(history.to_json()) < 200_000
    assert stored(tmp_path)
    for path in stored(tmp_path):
        assert (b"large ticket" in path.read_bytes()) is not encrypted
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    references = [event for event in history.events if b"ExternalStorageReference" in event.SerializeToString()]
    assert references
    assert any(b'"name"' in one.SerializeToString() for one in references) is not encrypted


@pytest.mark.parametrize(("size", "by_reference"), [(BY_REFERENCE - 1000, False), (256 * 1024, True)])
async def test_what_is_small_stays_in_temporal_and_256_kib_never_do(
    tmp_path: Path, size: int, by_reference: bool
) -> None:
    both = converter(tmp_path, new_key())
    [payload] = await both.encode(["x" * size])
    assert (payload.ByteSize() < 2000) is by_reference
    assert (await both.decode([payload]))[0] == "x" * size


async def test_the_largest_request_is_a_setting(serving: Serving, settings_of: SettingsOf, tmp_path: Path) -> None:
    settings = settings_of()
    async with serving(settings, converter(tmp_path, max_payload=200_000)) as apprentice:
        await apprentice.run(settings.name, {"text": "x" * 199_000}, deadline=20)
        with pytest.raises(InvalidInput, match=r"201,\d+ bytes long; 200,000 are the most.*max_payload"):
            await apprentice.run(settings.name, {"text": "x" * 201_000}, deadline=20)


async def test_a_client_without_storage_is_told(
    serving: Serving, settings_of: SettingsOf, dev_env: DevEnv, tmp_path: Path
) -> None:
    [payload] = await converter(tmp_path).encode([LARGE])
    with pytest.raises(PayloadUnreadable, match="config="):
        await NO_SETTINGS.decode([payload])
    settings = settings_of()
    async with serving(settings, converter(tmp_path)):
        bare = Apprentice(await client_of(dev_env, NO_SETTINGS))
        with pytest.raises(InvalidInput, match="APPRENTICE_CONFIG"):
            await bare.run(settings.name, LARGE, deadline=20)
        await bare.run(settings.name, {"text": "x" * (LARGEST_INPUT - 500)}, deadline=20)


async def test_a_request_stored_where_the_worker_does_not_look_is_refused_by_name(
    serving: Serving, settings_of: SettingsOf, dev_env: DevEnv, tmp_path: Path
) -> None:
    settings = settings_of()
    async with serving(settings, converter(tmp_path)) as apprentice:
        elsewhere = Apprentice(await client_of(dev_env, converter(tmp_path / "elsewhere")))
        with pytest.raises(PayloadUnreadable, match="payload_storage"):
            await elsewhere.run(settings.name, LARGE, deadline=20)
        await apprentice.run(settings.name, {"text": "two"}, deadline=20)


FORGED: list[dict[str, Any]] = [
    {"driverName": "apprentice", "claimData": {}},
    {"driverName": "apprentice", "claimData": {"name": "../../../../etc/passwd"}},
    {"driverName": "apprentice", "claimData": {"name": f"../x/{'0' * 64}"}},
    {"driverName": "apprentice", "claimData": {"name": f"n/w/{'0' * 64}"}},
    {"driverName": "apprentice", "claimData": {"sealed": "!", "key": "k"}},
    {"driverName": "apprentice", "claimData": {"sealed": "AAAA", "key": "k"}},
    {"driverName": "nobody", "claimData": {}},
    {"driverName": 7},
]


@pytest.mark.parametrize("reference", FORGED, ids=str)
async def test_a_forged_reference_is_refused_and_hurts_nobody(
    serving: Serving, settings_of: SettingsOf, dev_env: DevEnv, tmp_path: Path, reference: dict[str, Any]
) -> None:
    settings = settings_of()
    metadata = {"encoding": b"json/protobuf", "messageType": b"temporal.api.sdk.v1.ExternalStorageReference"}
    forged = Payload(metadata=metadata, data=json.dumps(reference).encode())
    async with serving(settings, converter(tmp_path, new_key())) as apprentice:
        handle = (await client_of(dev_env, NO_SETTINGS)).get_workflow_handle(lifecycle_id(settings.name))
        with pytest.raises(WorkflowUpdateFailedError):
            await asyncio.wait_for(handle.execute_update("submit", RawValue(forged)), 20)
        await handle.signal("force_remote", RawValue(forged))
        await apprentice.run(settings.name, {"text": "two"}, deadline=20)


async def test_many_large_requests_at_once_are_all_answered(
    serving: Serving, settings_of: SettingsOf, tmp_path: Path
) -> None:
    settings = settings_of()
    inputs = [{"text": f"{number} " + "x" * 300_000} for number in range(40)]
    async with serving(settings, converter(tmp_path, new_key()), max_cached_workflows=0) as apprentice:
        assert len(await send(apprentice, settings.name, inputs, at_once=40, deadline=100)) == 40


def test_a_reference_names_where_it_belongs_and_nothing_leaves_the_folder() -> None:
    assert folder_of("default", "apprentice/tickets") == "default/apprentice%2Ftickets"
    for odd in ("..", ".", "", "/", "a/../b", "x" * 1000, "\x00", "ü"):
        parts = folder_of(odd, odd).split("/")
        assert len(parts) == 2
        assert not {"", ".", ".."} & set(parts)
        assert all(len(part) <= 200 for part in parts)


async def test_what_was_changed_on_disk_is_noticed(tmp_path: Path) -> None:
    both = converter(tmp_path)
    [payload] = await both.encode([LARGE])
    [path] = stored(tmp_path)
    path.write_bytes(path.read_bytes().replace(b"large", b"small"))
    with pytest.raises(PayloadUnreadable, match="changed"):
        await both.decode([payload])


WRITER = """
import asyncio, sys
from pathlib import Path
from client.payloads.folder import FolderBlobs
async def main():
    blobs, number = FolderBlobs(Path(sys.argv[1])), 0
    while True:
        await blobs.put(f"n/w/{number:064x}", bytes([number % 251]) * 3_000_000)
        print(number, flush=True)
        number += 1
asyncio.run(main())
"""


@pytest.mark.crash
def test_a_writer_that_is_killed_leaves_whole_payloads_only(tmp_path: Path) -> None:
    for _ in range(3):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None
        said = [int(writer.stdout.readline()) for _ in range(5)]
        os.kill(writer.pid, signal.SIGKILL)
        said += [int(line) for line in writer.stdout.read().splitlines()]
        writer.wait()
        writer.stdout.close()
        blobs = FolderBlobs(tmp_path)
        found = {int(name, 16) for name in asyncio.run(_names(blobs))}
        assert found >= set(said)
        for number in found:
            assert asyncio.run(blobs.get(f"n/w/{number:064x}")) == bytes([number % 251]) * 3_000_000


async def _names(blobs: FolderBlobs) -> list[str]:
    return [blob.name[-64:] async for blob in blobs.stored("n")]


async def test_equal_payloads_of_a_workflow_are_stored_once(tmp_path: Path) -> None:
    driver = converter(tmp_path).external_storage
    assert driver is not None
    target = StorageDriverWorkflowInfo(namespace="default", id="apprentice/tickets")
    payload = Payload(data=b"x" * 200_000)
    claims = await driver.drivers[0].store(StorageDriverStoreContext(target=target), [payload, payload])
    assert claims[0] == claims[1]
    assert [path.parent.name for path in stored(tmp_path)] == ["apprentice%2Ftickets"]
