"""Circuit breakers: a provider that is down or refuses the key is left alone for a while, and others are asked at once.

Ours, not a library's. `purgatory`, looked at for this, reads the wall clock itself, lets every caller through as soon
as its time is over (a provider that is down would get them all, not one), counts a cancelled call as a failure, and
knows one threshold and one pause for all kinds of errors.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from activities.remote.errors import (
    AuthFailed,
    CircuitOpen,
    Overloaded,
    QuotaExhausted,
    RemoteError,
    TimedOut,
    Unreachable,
    Unusable,
)

FAILURES = 5
PAUSE = 30.0
# A key that is wrong, or an account that is empty, is so for the next call too; nobody mends it within seconds.
LONG_PAUSE = 60.0

_DOWN = (Overloaded, Unreachable, TimedOut)
_SHUT_OUT = (AuthFailed, QuotaExhausted)


class Breaker:
    """Of one account, in one process. `who` names it in errors, `clock` gives seconds that never go back."""

    def __init__(self, who: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._who = who
        self._clock = clock
        self._failures = 0
        self._until: float | None = None
        self._why: type[RemoteError] = Overloaded
        self._trying = False

    def refusal(self) -> CircuitOpen | None:
        """Why a call would not be let through now."""
        if self._until is None:
            return None
        left = self._until - self._clock()
        if left <= 0 and not self._trying:
            return None
        again = f"tried again in {left:.0f} s" if left > 0 else "being tried just now"
        why = f"{self._who}: not asked, after {self._why.__name__}; {again}"
        return CircuitOpen(why, max(left, 0.0), retryable=self._why.retryable)

    @contextmanager
    def call(self) -> Iterator[None]:
        """One call; after a pause, the first is a trial that decides. Raises CircuitOpen."""
        if (refusal := self.refusal()) is not None:
            raise refusal
        trial = self._trying = self._until is not None
        try:
            yield
        except RemoteError as error:
            if trial or self._until is None:  # else one that began before the pause did, and says nothing new
                self._failed(error, trial)
            raise
        else:
            self._close()
        finally:
            self._trying = self._trying and not trial

    def _failed(self, error: RemoteError, trial: bool) -> None:
        if isinstance(error, _SHUT_OUT):
            self._open(error, LONG_PAUSE)
        elif isinstance(error, _DOWN):
            self._failures += 1
            if trial or self._failures >= FAILURES:
                self._open(error, PAUSE)
        elif isinstance(error, Unusable) or trial:  # InvalidRequest, RateLimited: it is there
            self._close()

    def _open(self, error: RemoteError, seconds: float) -> None:
        self._until, self._why = self._clock() + seconds, type(error)

    def _close(self) -> None:
        self._failures, self._until = 0, None
