"""How a run went, over its requests: what a chart is drawn from."""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from apprentice.confidence.interval import wilson
from apprentice.messages import Phase

WINDOW = 100
"""Requests that a rolling figure is taken over."""
POINTS = 400


@dataclass(frozen=True, slots=True)
class CoursePoint:
    """After `request` requests. `spend`, `all_remote`: money so far; the others are of the last `WINDOW` requests.

    `agreement` is of everything served with the remote model, with its 95% interval; None where nothing was served.
    """

    request: int
    spend: float
    all_remote: float
    agreement: float | None
    low: float | None
    high: float | None
    local_share: float


@dataclass(frozen=True, slots=True)
class PhaseChange:
    """The first request that was answered in a phase."""

    request: int
    phase: Phase


@dataclass(frozen=True)
class Course:
    """At most `POINTS` points, the last one included."""

    points: Sequence[CoursePoint]
    changes: Sequence[PhaseChange]
    currency: str


class CourseTally:
    """Takes in one request after the other."""

    def __init__(self, expected: int) -> None:
        """`expected`: how many requests there will be."""
        self._every = max(1, math.ceil(expected / POINTS))
        self._agreements: deque[float] = deque(maxlen=WINDOW)
        self._local: deque[bool] = deque(maxlen=WINDOW)
        self._points: list[CoursePoint] = []
        self._changes: list[PhaseChange] = []
        self._requests = 0
        self._spend = self._all_remote = Decimal(0)

    def add(self, *, phase: Phase, local: bool, agreement: float | None, cost: Decimal, remote_cost: Decimal) -> None:
        """A request; `agreement` is None where it got no answer, `remote_cost` what the remote model takes for it."""
        self._requests += 1
        self._spend += cost
        self._all_remote += remote_cost
        self._local.append(local)
        if agreement is not None:
            self._agreements.append(agreement)
        if not self._changes or self._changes[-1].phase is not phase:
            self._changes.append(PhaseChange(self._requests, phase))
        if self._requests % self._every == 0:
            self._points.append(self._point())

    def course(self, currency: str) -> Course:
        """So far."""
        last = self._points[-1:]
        missing = self._requests and (not last or last[0].request != self._requests)
        return Course([*self._points, self._point()] if missing else self._points, self._changes, currency)

    def _point(self) -> CoursePoint:
        served = len(self._agreements)
        mean = math.fsum(self._agreements) / served if served else None
        low, high = (None, None) if mean is None else wilson(mean, served)
        return CoursePoint(
            request=self._requests,
            spend=float(self._spend),
            all_remote=float(self._all_remote),
            agreement=mean,
            low=low,
            high=high,
            local_share=sum(self._local) / len(self._local),
        )
