"""Stored payloads in a folder, on this machine or on a shared disk."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

from client.payloads.blobs import Blob

PART = ".part"
# A writer that was killed leaves its part behind; none takes this long.
LONGEST_WRITE = timedelta(hours=1)


class FolderBlobs:
    """One file for each; readable by this user alone."""

    def __init__(self, root: Path) -> None:
        self.root = root

    async def put(self, name: str, data: bytes) -> None:
        """See `Blobs`."""
        await asyncio.to_thread(self._put, name, data)

    async def get(self, name: str) -> bytes | None:
        """See `Blobs`."""
        return await asyncio.to_thread(self._get, name)

    async def stored(self, prefix: str) -> AsyncIterator[Blob]:
        """See `Blobs`."""
        for blob in await asyncio.to_thread(self._list, prefix):
            yield blob

    async def remove(self, name: str) -> None:
        """See `Blobs`."""
        await asyncio.to_thread((self.root / name).unlink, missing_ok=True)

    def _put(self, name: str, data: bytes) -> None:
        target = self.root / name
        with suppress(FileNotFoundError):
            os.utime(target)
            return
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        part = target.with_name(f".{uuid4().hex}{PART}")
        try:
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            part.replace(target)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        _sync(target.parent)

    def _get(self, name: str) -> bytes | None:
        try:
            return (self.root / name).read_bytes()
        except FileNotFoundError:
            return None

    def _list(self, prefix: str) -> list[Blob]:
        found = []
        for path in (self.root / prefix).rglob("*"):
            with suppress(FileNotFoundError):  # another worker sweeps as well
                stored = datetime.fromtimestamp(path.stat().st_mtime, UTC)
                if path.suffix == PART and datetime.now(UTC) - stored > LONGEST_WRITE:
                    path.unlink(missing_ok=True)
                elif path.is_file() and path.suffix != PART:
                    found.append(Blob(str(path.relative_to(self.root)), stored))
        return found


def _sync(folder: Path) -> None:
    """The name, too, is on disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
