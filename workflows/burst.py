"""How much a workflow takes in and sends out at a time.

What a worker reports of one workflow task is one gRPC message: the inputs of all updates that came with it, accepted or
refused, the inputs of the activities that it schedules, the results. A server that gets more than 4 MiB in it
*terminates* the workflow (measured on 1.32: eight requests of 500 kB at once, or a hundred of 60 kB, ended a task).
Of updates no more than 2 MiB come at a time: ten on a stock server, hence `LARGEST_INPUT`; on ours, by
`maxInFlightUpdatePayloads`. The rest is up to this module.
"""

import asyncio
from datetime import timedelta

from temporalio import workflow

# Two of these may meet in one workflow task (before and after a flush), beside some kB for each request.
BYTES_AT_A_TIME = 800 * 1024
LARGEST_INPUT = 200 * 1024
BYTES_A_REQUEST = 2 * 1024
FLUSH = timedelta(milliseconds=1)


class Burst:
    """Counts bytes until a timer has fired, which is always in a later workflow task. Depends on nothing else, so
    that a replay waits where the first run did."""

    def __init__(self) -> None:
        self._bytes = 0
        self._flush: asyncio.Task[None] | None = None

    async def wait(self, size: int) -> None:
        """Until this many bytes may go out; they are counted."""
        while not self._fits(size):
            self._flush_soon()
            await workflow.wait_condition(lambda: self._fits(size))
        self._bytes += size + BYTES_A_REQUEST

    def _fits(self, size: int) -> bool:
        return not self._bytes or self._bytes + size <= BYTES_AT_A_TIME

    def _flush_soon(self) -> None:
        if self._flush is None or self._flush.done():
            self._flush = asyncio.create_task(self._reset())

    async def _reset(self) -> None:
        await workflow.sleep(FLUSH)
        self._bytes = 0
