"""Answers in flight, so that nothing is taken away from under one."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager


class InFlight:
    """Counts them by the version that they are asked of."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        self._ended = asyncio.Event()

    @contextmanager
    def one(self, version: int) -> Iterator[None]:
        """One answer, for as long as it takes."""
        self._counts[version] += 1
        try:
            yield
        finally:
            self._counts[version] -= 1
            self._ended.set()

    async def drained(self, version: int) -> None:
        """Return when the version has no answer in flight."""
        while self._counts[version]:
            self._ended.clear()
            await self._ended.wait()
