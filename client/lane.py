"""What one client has in flight for one task: a number of requests, and of bytes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

# Half of what our server lets in for a task (see `workflows.burst`): its refusals throw away work that it had begun, so
# that many clients over the limit at once hold a task up.
BYTES_IN_FLIGHT = 512 * 1024


class Lane:
    """Lets requests in while there is room; a single one always fits."""

    def __init__(self, requests: int) -> None:
        self._slots = asyncio.Semaphore(requests)
        self._bytes = 0
        self._freed = asyncio.Event()

    @asynccontextmanager
    async def enter(self, size: int) -> AsyncIterator[None]:
        """Wait for room, and hold it while the block lasts."""
        async with self._slots:
            while self._bytes and self._bytes + size > BYTES_IN_FLIGHT:
                self._freed.clear()
                await self._freed.wait()
            self._bytes += size
            try:
                yield
            finally:
                self._bytes -= size
                self._freed.set()
