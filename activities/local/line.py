"""The line before a model server: so many questions in flight, so many that wait, and no more."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from activities.local.model import ServerBusy


class Line:
    """One for each server, shared by its tasks; each task brings limits of its own."""

    def __init__(self) -> None:
        self.in_flight = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    @asynccontextmanager
    async def turn(self, at_once: int, room: int) -> AsyncIterator[None]:
        """Hold one of `at_once` places, after waiting for it if fewer than `room` others wait. Raises ServerBusy."""
        await self._enter(at_once, room)
        try:
            yield
        finally:
            self.in_flight -= 1
            self._admit()

    def dismiss(self, error: Exception) -> None:
        """Send away all who wait."""
        while self._waiting:
            _, place = self._waiting.popleft()
            if not place.done():
                place.set_exception(error)

    async def _enter(self, at_once: int, room: int) -> None:
        if self.in_flight < at_once and not self._waiting:
            self.in_flight += 1
            return
        if len(self._waiting) >= room:
            raise ServerBusy(f"{self.in_flight} questions are in flight at the server and {room} wait already")
        place = asyncio.get_running_loop().create_future()
        self._waiting.append((at_once, place))
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled() and place.exception() is None:
                self.in_flight -= 1  # the place was given and its owner is gone
            self._waiting = deque(one for one in self._waiting if one[1] is not place)
            self._admit()
            raise

    def _admit(self) -> None:
        """Places for those whose limit allows it, the longest waiting first."""
        still: deque[tuple[int, asyncio.Future[None]]] = deque()
        for at_once, place in self._waiting:
            if place.done():
                continue
            if self.in_flight < at_once:
                self.in_flight += 1
                place.set_result(None)
            else:
                still.append((at_once, place))
        self._waiting = still
