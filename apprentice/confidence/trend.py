"""How a level came down: at once, or bit by bit. A short summary of a stream, and the shape that fits it best."""

import math
from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

SAME_SIZE = 4
"""Buckets of one size that are kept: the newest are single scores, those of n scores ago hold about n / 4."""
LEAST_GRADUAL = 100
"""Scores that a decline takes at least; a shorter one is as good as sudden."""
USUAL_FALL = 0.4
"""Of a level, in standard deviations of one score."""
DOUBT = 0.5
"""Log odds from which a decline is called one. An alarm comes in a bad streak, which makes any fall look unfinished."""


class ChangeKind(StrEnum):
    """How a level came down."""

    SUDDEN = "sudden"
    GRADUAL = "gradual"


class Shape(NamedTuple):
    """From a level `before` to `after`: at once, `ago` scores ago, or on a straight line from then until now."""

    kind: ChangeKind
    ago: int
    before: float
    after: float


class Course(BaseModel):
    """What a stream did, in O(log n) numbers: counts and sums of runs of scores, the oldest first.

    The exponential histogram of Datar, Gionis, Indyk and Motwani (2002): fine where it is recent.
    """

    model_config = ConfigDict(extra="forbid")

    counts: list[int] = []
    totals: list[float] = []

    def add(self, score: float) -> None:
        """Take in one more score."""
        self.counts.append(1)
        self.totals.append(score)
        size, end = 1, len(self.counts)
        # Of each size at most `SAME_SIZE` stay; the two oldest of one more become one of the next size.
        while (begin := self._begin(size, end)) is not None:
            self.counts[begin : begin + 2] = [2 * size]
            self.totals[begin : begin + 2] = [round(self.totals[begin] + self.totals[begin + 1], 6)]
            size, end = 2 * size, begin + 1

    def _begin(self, size: int, end: int) -> int | None:
        """Where the runs of this size begin that end at `end`, if there are too many of them."""
        begin = end - SAME_SIZE - 1
        return begin if begin >= 0 and self.counts[begin] == size else None

    def shape(self, variance: float) -> Shape | None:
        """The kind of fall that explains the stream better, and of that kind the likeliest. None: nothing fell.

        Each possible beginning weighs as many scores as it stands for, so that a short streak at the end, of which a
        long stream has many, does not win by its depth alone. `variance` is that of one score.
        """
        fits: dict[ChangeKind, list[tuple[float, Shape]]] = {kind: [] for kind in ChangeKind}
        for begin in range(1, len(self.counts)):
            for kind in ChangeKind:
                if fitted := _fit(self.counts, self.totals, begin, kind, variance):
                    fits[kind].append(fitted)
        sudden, gradual = fits[ChangeKind.SUDDEN], fits[ChangeKind.GRADUAL]
        if not sudden:
            return None
        declined = gradual and _together(gradual) > _together(sudden) + DOUBT
        return max(gradual if declined else sudden, key=lambda one: one[0])[1]


def _together(fits: list[tuple[float, Shape]]) -> float:
    """Log of the sum of the weights, whose logs these are."""
    most = max(weight for weight, _ in fits)
    return most + math.log(math.fsum(math.exp(weight - most) for weight, _ in fits))


def _fit(
    counts: Sequence[int], totals: Sequence[float], begin: int, kind: ChangeKind, variance: float
) -> tuple[float, Shape] | None:
    """(log weight, shape) of a fall that begins with the run `begin`; None where it does not fall.

    Bayesian regression on one column: how far the change has gone in the middle of each run, 0 before it and at most 1
    now. The fall is thought to be `USUAL_FALL` standard deviations or so.
    """
    number, ago = sum(counts), sum(counts[begin:])
    if kind is ChangeKind.GRADUAL and ago < LEAST_GRADUAL:
        return None
    gone = [0.0] * begin + _progress(counts[begin:], ago, kind)
    along = math.fsum(n * x for n, x in zip(counts, gone, strict=True)) / number
    mean = math.fsum(totals) / number
    spread = math.fsum(n * (x - along) ** 2 for n, x in zip(counts, gone, strict=True))
    product = math.fsum((x - along) * (total - n * mean) for n, x, total in zip(counts, gone, totals, strict=True))
    if product >= 0.0:
        return None
    prior = 1.0 / USUAL_FALL**2
    fall = product / (spread + prior)
    before = mean - fall * along
    if before + fall < 0.0:
        return None
    weight = product * fall / (2 * variance) - math.log1p(spread / prior) / 2 + math.log(counts[begin])
    return weight, Shape(kind, ago, before, before + fall)


def _progress(counts: Sequence[int], ago: int, kind: ChangeKind) -> list[float]:
    if kind is ChangeKind.SUDDEN:
        return [1.0] * len(counts)
    gone, done = [], 0.0
    for count in counts:
        gone.append((done + count / 2) / ago)
        done += count
    return gone
