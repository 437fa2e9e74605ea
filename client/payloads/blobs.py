"""Where stored payloads lie: named bytes, written once, in a folder or in a bucket."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True)
class Blob:
    """One stored payload: its name (`namespace/workflow/sha256`) and when it was last stored."""

    name: str
    stored: datetime


class Blobs(Protocol):
    """A name's bytes never change, so that two writers of one name cannot disagree."""

    async def put(self, name: str, data: bytes) -> None:
        """Store; whole and on disk when this returns, or not there at all. Stored again, it is as new."""

    async def get(self, name: str) -> bytes | None:
        """The bytes; None if there are none."""

    def stored(self, prefix: str) -> AsyncIterator[Blob]:
        """All whose name begins with the folder `prefix`."""

    async def remove(self, name: str) -> None:
        """Remove; it may be gone already."""
