"""Stored payloads in a bucket: an S3-compatible server of moto's, in this process, over HTTP."""

from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from moto.server import ThreadedMotoServer

from client import Apprentice, PayloadUnreadable
from client.payloads.bucket import BucketBlobs
from tests.client.payloads.conftest import converter, new_key
from tests.workflows.conftest import SettingsOf

LARGE = {"text": "a large ticket " * 20_000}


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """An empty S3, with credentials that any client finds in its environment."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("ACCESS_KEY_ID", "test"), ("SECRET_ACCESS_KEY", "test"), ("REGION", "us-east-1")):
            patch.setenv(f"AWS_{name}", value)
        yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(endpoint: str) -> str:
    name = f"payloads-{uuid4().hex[:8]}"
    httpx.put(f"{endpoint}/{name}").raise_for_status()
    return name


async def test_blobs_are_stored_listed_read_and_removed(endpoint: str, bucket: str) -> None:
    blobs = BucketBlobs.open(f"s3://{bucket}/some/prefix", endpoint)
    name = f"default/apprentice%2Ftickets/{'0' * 64}"
    assert await blobs.get(name) is None
    for _ in range(2):
        await blobs.put(name, b"data")
    assert await blobs.get(name) == b"data"
    assert [blob.name async for blob in blobs.stored("default")] == [name]
    assert [blob.name async for blob in blobs.stored("other")] == []
    for _ in range(2):
        await blobs.remove(name)
    assert [blob.name async for blob in blobs.stored("default")] == []


async def test_a_large_request_is_answered_through_a_bucket(
    serving: Callable[..., AbstractAsyncContextManager[Apprentice]],
    settings_of: SettingsOf,
    tmp_path: Path,
    endpoint: str,
    bucket: str,
) -> None:
    both = converter(tmp_path, new_key(), payload_storage=f"s3://{bucket}/prefix", payload_endpoint=endpoint)
    settings = settings_of()
    async with serving(settings, both) as apprentice:
        result = await apprentice.run(settings.name, LARGE, deadline=30)
    assert result.output["category"] in ("billing", "shipping", "account")
    keys = [blob.name async for blob in BucketBlobs.open(f"s3://{bucket}", endpoint).stored("prefix")]
    assert keys
    assert all(key.startswith("prefix/default/") for key in keys)


async def test_an_object_that_is_gone_is_named(endpoint: str, bucket: str, tmp_path: Path) -> None:
    both = converter(tmp_path, payload_storage=f"s3://{bucket}", payload_endpoint=endpoint)
    [payload] = await both.encode([LARGE])
    assert await both.decode([payload]) == [LARGE]
    blobs = BucketBlobs.open(f"s3://{bucket}", endpoint)
    async for blob in blobs.stored("none"):
        await blobs.remove(blob.name)
    with pytest.raises(PayloadUnreadable, match="payload_storage"):
        await both.decode([payload])
