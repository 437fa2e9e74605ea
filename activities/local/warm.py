"""The versions that are loaded at a server: each loaded once, and let go only when nobody uses it any more."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from activities.local.model import LocalError, ServerBusy

KEPT = 3
"""The version that serves, the candidate, and the one that is being drained or rolled back to."""


class _Place[T]:
    """One version's: its load, who uses it, and whether its load has proved to be slower than a caller can wait."""

    def __init__(self, loading: asyncio.Future[T]) -> None:
        self.loading = loading
        self.slow = False
        self.users = 0
        self.unused = asyncio.Event()
        self.unused.set()


class Warm[T]:
    """`load` makes a version ready and returns what is needed to ask it; `release` undoes that and never raises."""

    def __init__(self, load: Callable[[int], Awaitable[T]], release: Callable[[int, T], Awaitable[None]]) -> None:
        self._load = load
        self._release = release
        self._places: OrderedDict[int, _Place[T]] = OrderedDict()
        self._leaving: set[asyncio.Task[None]] = set()

    def loaded(self) -> dict[int, T]:
        """What is ready now, the version used last at the end."""
        ready = [(version, place.loading) for version, place in self._places.items() if place.loading.done()]
        return {
            version: loading.result()
            for version, loading in ready
            if not loading.cancelled() and loading.exception() is None
        }

    async def get(self, version: int) -> T:
        """The version, loaded now if it is not; however many ask, it is loaded once. Raises what `load` raises."""
        return await self._ready(version, self._place(version))

    @asynccontextmanager
    async def use(self, version: int, until: float) -> AsyncIterator[T]:
        """The same for one question: it is not let go while the block runs. Raises ServerBusy if it is not loaded
        `until` then, by the event loop's clock. The load goes on; until it is done, others are not kept waiting for it.
        """
        place = self._place(version)
        if place.slow and not place.loading.done():
            raise ServerBusy(f"version {version} is still being loaded")
        place.users += 1
        place.unused.clear()
        try:
            try:
                async with asyncio.timeout_at(until):
                    ready = await self._ready(version, place)
            except TimeoutError:
                place.slow = True
                raise ServerBusy(f"version {version} is still being loaded") from None
            yield ready
        finally:
            place.users -= 1
            if not place.users:
                place.unused.set()

    async def drop(self, version: int) -> None:
        """Let go of a version when its questions in flight have been answered; new ones load it again."""
        place = self._places.pop(version, None)
        if place is not None:
            await self._leave(version, place)

    async def close(self) -> None:
        """Let go of all versions so."""
        await asyncio.gather(*(self.drop(version) for version in list(self._places)))

    def forget(self, version: int) -> None:
        """The server has lost the version: the next who asks loads it again."""
        self._places.pop(version, None)

    def _place(self, version: int) -> _Place[T]:
        if version not in self._places:
            self._places[version] = _Place(asyncio.ensure_future(self._load(version)))
            while len(self._places) > KEPT:
                oldest = next(one for one in self._places if one != version)
                leaving = asyncio.create_task(self._leave(oldest, self._places.pop(oldest)))
                self._leaving.add(leaving)
                leaving.add_done_callback(self._leaving.discard)
        self._places.move_to_end(version)
        return self._places[version]

    async def _ready(self, version: int, place: _Place[T]) -> T:
        try:
            return await asyncio.shield(place.loading)  # one caller's end must not end the load for the others
        except Exception:
            if self._places.get(version) is place:
                del self._places[version]  # so that it is tried again
            raise

    async def _leave(self, version: int, place: _Place[T]) -> None:
        await place.unused.wait()
        with suppress(LocalError):
            ready = await asyncio.shield(place.loading)
            await self._release(version, ready)
