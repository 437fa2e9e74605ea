"""Stored payloads in a bucket of S3 or of a service that speaks its protocol."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import TYPE_CHECKING, Self

from client.errors import ApprenticeError
from client.payloads.blobs import Blob

if TYPE_CHECKING:
    from obstore.store import S3Store

TIMEOUT = timedelta(seconds=10)


class NoBucket(ApprenticeError):
    """The bucket cannot be used with these settings."""


class BucketBlobs:
    """Credentials and region come from the standard environment (AWS_ACCESS_KEY_ID, AWS_REGION, ...)."""

    def __init__(self, store: "S3Store") -> None:
        self._store = store

    @classmethod
    def open(cls, url: str, endpoint: str | None) -> Self:
        """`url` is s3://bucket/prefix. Nothing is sent yet. Raises NoBucket."""
        try:
            from obstore.exceptions import BaseError
            from obstore.store import S3Store
        except ImportError:
            raise NoBucket(
                "`temporal.payload_storage` in a bucket needs the extra `s3`: pip install 'apprentice[s3]'"
            ) from None
        bucket, _, prefix = url.removeprefix("s3://").partition("/")
        try:
            store = S3Store(
                bucket,
                prefix=prefix.strip("/") or None,
                config={"endpoint": endpoint} if endpoint else None,
                client_options={"allow_http": bool(endpoint and endpoint.startswith("http://")), "timeout": TIMEOUT},
                # Who waits is a workflow task or a caller: Temporal tries again by itself.
                retry_config={"max_retries": 3, "retry_timeout": TIMEOUT},
            )
        except BaseError as error:
            raise NoBucket(f"`temporal.payload_storage` cannot be used: {error}") from None
        return cls(store)

    async def put(self, name: str, data: bytes) -> None:
        """See `Blobs`."""
        await self._store.put_async(name, data)

    async def get(self, name: str) -> bytes | None:
        """See `Blobs`."""
        try:
            answer = await self._store.get_async(name)
            return bytes(await answer.bytes_async())
        except FileNotFoundError:
            return None

    async def stored(self, prefix: str) -> AsyncIterator[Blob]:
        """See `Blobs`."""
        async for found in self._store.list(prefix):
            for one in found:
                yield Blob(one["path"], one["last_modified"])

    async def remove(self, name: str) -> None:
        """See `Blobs`."""
        await self._store.delete_async(name)  # S3 does not mind what is not there
