"""What is known about a server's health, so that no request pays for finding out again."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from activities.local.model import LocalError, ServerDown

FAILURES = 2
"""So many failures in a row, and the server is down: one alone may be a connection that just broke."""
PROBE_SECONDS = 2.0
LONGEST_PAUSE_SECONDS = 30.0
"""Between probes of a server that answers them, but then fails its questions again and again."""

_log = logging.getLogger(__name__)


class Health:
    """Counts failures, and probes a server that is down in the background until it is back.

    `probe` raises LocalError while the server cannot serve; `went_down` is called once each time it goes down.
    """

    def __init__(
        self, name: str, probe: Callable[[], Awaitable[None]], went_down: Callable[[ServerDown], None]
    ) -> None:
        self._name = name
        self._probe = probe
        self._went_down = went_down
        self._failures = 0
        self._pause = PROBE_SECONDS
        self._why: str | None = None
        self._probing: asyncio.Task[None] | None = None

    @property
    def down(self) -> bool:
        """Whether questions are to fail at once."""
        return self._why is not None

    def require(self) -> None:
        """Raises ServerDown if the server is known to be down."""
        if self._why is not None:
            raise self._error(self._why)

    def succeeded(self) -> None:
        """A question was answered."""
        if not self.down:
            self._failures, self._pause = 0, PROBE_SECONDS

    def failed(self, why: str) -> ServerDown:
        """A question met no server, a broken connection or silence. Returns what to raise."""
        error = self._error(why)
        self._failures += 1
        if self._failures >= FAILURES and not self.down:
            self._why = why
            _log.warning("%s is down: %s", self._name, why)
            self._went_down(error)
            self._probing = asyncio.get_running_loop().create_task(self._bring_back())
        return error

    async def _bring_back(self) -> None:
        while True:
            await asyncio.sleep(self._pause)
            try:
                await self._probe()
            except LocalError:
                continue
            except Exception:
                _log.exception("the probe of %s failed", self._name)
                continue
            break
        _log.warning("%s is back", self._name)
        # Until a question is answered one failure is enough, and the next probe waits longer: a server may answer
        # probes and no question.
        self._why, self._failures = None, FAILURES - 1
        self._pause = min(LONGEST_PAUSE_SECONDS, self._pause * 2)

    def _error(self, why: str) -> ServerDown:
        return ServerDown(f"{self._name} {why}")
