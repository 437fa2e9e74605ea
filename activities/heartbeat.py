"""Tells the server that an activity lives, so that no activity has to beat by hand."""

import asyncio
from types import TracebackType
from typing import Self

from temporalio import activity


class Heartbeater:
    """Beats three times in each heartbeat time-out while the block runs; does nothing where none is set.

    Only through heartbeats does an activity learn that it was cancelled: then the block is cancelled too.
    """

    def __init__(self, *details: object) -> None:
        self._details = details
        self._beating: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        timeout = activity.info().heartbeat_timeout
        if timeout:
            self._beating = asyncio.create_task(self._beat(timeout.total_seconds() / 3))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._beating is not None:
            self._beating.cancel()
            await asyncio.wait([self._beating])

    async def _beat(self, seconds: float) -> None:
        # The start is a sign of life too; an activity that ends before its first beat is due costs the server nothing.
        while True:
            await asyncio.sleep(seconds)
            activity.heartbeat(*self._details)
