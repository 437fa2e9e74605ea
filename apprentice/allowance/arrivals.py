"""How many requests are still to come until an allowance begins anew."""

import math
from datetime import datetime

from apprentice.allowance.state import AllowanceState

SHORTEST = 60.0
"""Seconds of traffic that are looked back on at least."""


def note(state: AllowanceState, now: datetime, resets: datetime | None) -> None:
    """A request came."""
    came, span = _faded(state, now, resets)
    state.requests, state.came, state.span, state.at = state.requests + 1, came + 1.0, span, now


def left(state: AllowanceState, now: datetime, resets: datetime | None) -> float:
    """The requests to be expected until then, at least 1. `resets` None: until the end of the recording.

    The time that is left is taken to be like the last half of such a time: early in a day hours of traffic count, near
    its end the last minutes, so that little is left over when traffic dies down.
    """
    if resets is None:
        return max(1.0, (state.horizon or 0) - state.requests)
    came, span = _faded(state, now, resets)
    return max(1.0, came / max(span, 1.0) * (resets - now).total_seconds())


def _faded(state: AllowanceState, now: datetime, resets: datetime | None) -> tuple[float, float]:
    """The requests that came, and in how many seconds, each fading by 1/e in half the time that is left."""
    if state.at is None or resets is None:
        return state.came, state.span
    passed = max(0.0, (now - state.at).total_seconds())
    fade = math.exp(-passed / max(SHORTEST, (resets - now).total_seconds() / 2))
    return state.came * fade, state.span * fade + passed
