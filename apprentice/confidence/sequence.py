"""A confidence sequence: an interval for the mean of scores in [0, 1] that holds at every look, all looks together.

Each candidate mean m is bet against (`apprentice.confidence.wealth`); the interval is of those against whom no gambler
has won. A bet D turns 1 into (1 + D s) / (1 + D m) at a score s: the best one for scores of 0 and 1 if their odds are
1 + D times those of m, so that the same few bets are near the best for means near 0, 1/2 and 1. References:
Waudby-Smith and Ramdas 2023, "Estimating means of bounded random variables by betting", J. R. Statist. Soc. B 86; for
weights, Waudby-Smith, Wu, Ramdas, Karampatziakis and Mineiro 2022, "Anytime-valid off-policy inference for contextual
bandits", arXiv:2210.10768.

The memory is a histogram, whatever was seen. The log of a bet is concave in the score and in its weight; so an
observation between two points of the grid may be split over both, in the proportion that keeps its mean, and no bet
looks better for it. Scores on the grid (0, 1, thirds, quarters, fifths, ...) lose nothing, others a few percent of
width.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from apprentice.confidence.interval import LEVEL
from apprentice.confidence.wealth import mixed, proof

_LOW_SCORES = (0.0, 1 / 20, 1 / 10, 1 / 8, 1 / 6, 1 / 5, 1 / 4, 3 / 10, 1 / 3, 2 / 5, 1 / 2)
SCORES = (*_LOW_SCORES, 3 / 5, 2 / 3, 7 / 10, 3 / 4, 4 / 5, 5 / 6, 7 / 8, 9 / 10, 19 / 20, 1.0)
# A weight below the last but one is split with the 0 that says nothing.
WEIGHTS = (0.0, 0.03, 0.1, 0.25, 0.5, 1.0)
PRECISION = 1e-4

# By how much the log of the odds may be above those of m. Tuned for 20 to 20,000 scores; a mixture with the Beta(1/2,
# 1/2) prior over all of them is 10% to 25% wider there.
BETS = tuple(math.expm1(odds) for odds in (0.03, 0.08, 0.17, 0.32, 0.55, 0.9, 1.5, 2.6, 5.0))
_SHARES = (1, 2, 3, 4, 4, 4, 3, 3, 2)
LOG_SHARES = tuple(math.log(share / sum(_SHARES)) for share in _SHARES)


class Cell(NamedTuple):
    """So many observations of this weight and score; the number need not be whole."""

    weight: float
    score: float
    times: float


class ConfidenceSequence(BaseModel):
    """What `n` scores say about their mean. `counts` is by place in the grid of weights and scores.

    An observation of weight 1 is a draw from the traffic. Where requests are observed with different chances, the
    weight is rate / chance: `rate`, fixed before the request is seen, is at most any request's chance. Then a request
    counts the same on average whatever its chance, and under stationary traffic the mean covered is that of all
    traffic. Where the mean moves, `lower` is still below the highest mean there was and `upper` above the lowest.
    """

    model_config = ConfigDict(extra="forbid")

    n: int = 0
    counts: dict[int, float] = {}

    def add(self, score: float, weight: float = 1.0) -> None:
        """Take in a score in [0, 1] of a weight in (0, 1]. Raises ValueError beyond them."""
        if not (0.0 <= score <= 1.0 and 0.0 < weight <= 1.0):
            raise ValueError(f"a score of {score} with a weight of {weight} is not in [0, 1] and (0, 1]")
        self.n += 1
        for row, heavy in _split(weight, WEIGHTS):
            for column, share in _split(score, SCORES):
                place = row * len(SCORES) + column
                self.counts[place] = self.counts.get(place, 0.0) + heavy * share

    def mean(self) -> float | None:
        """The weighted mean of the scores; None without any."""
        cells = self._cells()
        total = math.fsum(cell.weight * cell.times for cell in cells)
        return math.fsum(cell.weight * cell.score * cell.times for cell in cells) / total if total else None

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        """Bounds that hold together, at every look, with probability `level`. Without a score: [0, 1]."""
        return self.lower((1 + level) / 2), self.upper((1 + level) / 2)

    def lower(self, level: float = LEVEL) -> float:
        """The lower bound alone, at every look right with probability `level`."""
        return _Bets(self._cells()).least(proof(1 - level))

    def upper(self, level: float = LEVEL) -> float:
        """The upper bound alone, at every look right with probability `level`."""
        return 1.0 - _Bets(self._mirrored()).least(proof(1 - level))

    def above(self, target: float) -> float:
        """The evidence that the mean is above a target in [0, 1], as a log: `proof(alpha)` proves it."""
        return mixed(LOG_SHARES, _Bets(self._cells()).logs(target))

    def below(self, target: float) -> float:
        """The evidence that the mean is below a target in [0, 1], as a log: `proof(alpha)` proves it."""
        return mixed(LOG_SHARES, _Bets(self._mirrored()).logs(1.0 - target))

    def _cells(self) -> list[Cell]:
        return [
            Cell(WEIGHTS[place // len(SCORES)], SCORES[place % len(SCORES)], count)
            for place, count in self.counts.items()
        ]

    def _mirrored(self) -> list[Cell]:
        return [cell._replace(score=1.0 - cell.score) for cell in self._cells()]


def _split(value: float, grid: Sequence[float]) -> list[tuple[int, float]]:
    """The places beside a value and its share in each; one place where it is on the grid."""
    above = min(bisect_right(grid, value), len(grid) - 1)
    low, high = grid[above - 1], grid[above]
    share = (value - low) / (high - low)
    # A third may be written in more than one way; a thousandth of a millionth is no other score.
    if share < 1e-9:
        return [(above - 1, 1.0)]
    return [(above, 1.0)] if share > 1 - 1e-9 else [(above - 1, 1.0 - share), (above, share)]


class _Bets:
    """What each bet on the mean being above m has made of 1, for any m. Full weights are summed up once for all m."""

    def __init__(self, cells: Sequence[Cell]) -> None:
        full = [cell for cell in cells if cell.weight == 1.0]
        self._light = [cell for cell in cells if cell.weight < 1.0]
        self._full = math.fsum(cell.times for cell in full)
        self._won = [math.fsum(cell.times * math.log1p(bet * cell.score) for cell in full) for bet in BETS]
        self.total = math.fsum(cell.weight * cell.times for cell in cells)
        self.mean = math.fsum(cell.weight * cell.score * cell.times for cell in cells) / max(self.total, 1e-9)

    def logs(self, mean: float) -> list[float]:
        """For each of `BETS`, the log of what it has made of 1 against this mean."""
        log1p, logs = math.log1p, []
        for bet, won in zip(BETS, self._won, strict=True):
            risked = bet / (1.0 + bet * mean)
            log = won - self._full * log1p(bet * mean)
            logs.append(log + sum(n * log1p(risked * w * (score - mean)) for w, score, n in self._light))
        return logs

    def least(self, required: float) -> float:
        """The least mean against which the log of the wealth is under `required`, to `PRECISION`, rounded down.

        Every bet wins less against a higher mean, and none against the mean of the scores themselves: one crossing,
        found by regula falsi in the Illinois way (Dowell and Jarratt 1971).
        """
        low, high, side = 0.0, self.mean, 0
        over, under = (mixed(LOG_SHARES, self.logs(mean)) - required for mean in (low, high))
        if over < 0:
            return 0.0
        # Where the bound is for scores of 0 and 1 and many of them, and a little below: most often that brackets it.
        about = math.sqrt(2 * required * self.mean * (1 - self.mean) / max(self.total, 1.0))
        guesses = [self.mean - about * 1.5, self.mean - about]
        while high - low > PRECISION:
            at = guesses.pop() if guesses else (low * under - high * over) / (under - over)
            at = min(max(at, low + PRECISION / 2), high - PRECISION / 2)
            gap = mixed(LOG_SHARES, self.logs(at)) - required
            if gap >= 0:
                low, over, under, side = at, gap, under / 2 if side > 0 else under, 1
            else:
                high, under, over, side = at, gap, over / 2 if side < 0 else over, -1
        return low
