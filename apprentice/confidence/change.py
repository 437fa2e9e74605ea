"""A model's agreement against its own level: whether it fell, how (at once or bit by bit), from where and when."""

import math
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field

from apprentice.confidence.detector import FALSE_ALARM_RATE, Bet, statistic, suspicion
from apprentice.confidence.trend import ChangeKind, Course, Shape

DROPS = (0.12, 0.3, 0.8)
"""What the bets look for, in standard deviations of one score: 4, 9 and 24 points where nine of ten agree."""
WEIGHTS = (0.5, 0.33, 0.17)
"""Small drops take long to prove, so most is bet on them."""
KEPT_OUT = 0.5
"""Of the scores since a bet's own beginning, the part that is kept out of the level it bets against. With none, a
change would soon be its own level; with all, a level that was too high by chance is never put right."""
SHY = 0.15
"""Standard errors by which the level is taken to be lower than it was seen to be."""
PRIOR = 4.0
"""Scores of 1/2 that are taken as seen before the first, half of them 1 and half 0."""
LEAST_VARIANCE = 1e-4
USUAL = 100.0
"""The statistic hardly passes this without a change: of the alarm at 10,000, half of the way by its logarithm."""


class Change(BaseModel):
    """The agreement fell from `before` to `after`; it began `ago` comparisons ago."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: ChangeKind
    before: float
    after: float
    ago: int

    def __str__(self) -> str:
        """For an alert."""
        return self.told("agreement", "comparisons")

    def told(self, what: str, of: str) -> str:
        """The change of `what`, a level of so many `of`."""
        if self.kind is ChangeKind.SUDDEN:
            return f"{what} fell from {self.before:.2f} to {self.after:.2f} about {self.ago} {of} ago"
        points = 1e4 * (self.before - self.after) / max(self.ago, 1)
        return (
            f"{what} declines by about {points:.1f} points per 100 {of}, "
            f"from {self.before:.2f} to {self.after:.2f} over the last {self.ago}"
        )


class Watch(BaseModel):
    """Over a stream of fair scores of one model version, which it knows only from the stream: about 1 KiB of state.

    If the level were known, `rate` would bound the false alarms of every distribution (see `detector`). It is learned
    from the stream itself, so it errs: a level taken for too high is a drop that never was. How often that happens is
    measured in `tests/apprentice/confidence/test_change.py` and by `python -m benchmarks.drift`.
    """

    model_config = ConfigDict(extra="forbid")

    count: int = 0
    total: float = 0.0
    squares: float = 0.0
    bets: list[Bet] = Field(default_factory=lambda: [Bet() for _ in DROPS])
    course: Course = Field(default_factory=Course)

    def restart(self, scores: Sequence[float]) -> None:
        """Begin anew, with another version or after an alarm: its level is first what these say."""
        self.count, self.total, self.squares = 0, 0.0, 0.0
        self.bets, self.course = [Bet() for _ in DROPS], Course()
        for score in scores:
            self._see(score)

    def learn(self, score: float, rate: float = FALSE_ALARM_RATE) -> Change | None:
        """Take in one score. A change that is proven is told once: the watch begins anew with the scores since then."""
        spread = math.sqrt(self._variance)
        for bet, drop in zip(self.bets, DROPS, strict=True):
            bet.step(score, self._level(bet, spread), drop / spread)
        self._see(score)
        if statistic(self.bets, WEIGHTS) < 1.0 / rate:
            return None
        change = self._change()
        self._begin_after(change)
        return change

    def suspicion(self, rate: float = FALSE_ALARM_RATE) -> float:
        """0 where nothing points to a change, 1 where it is proven; in between by the order of magnitude."""
        return suspicion(statistic(self.bets, WEIGHTS), USUAL, rate)

    @property
    def _variance(self) -> float:
        count = self.count + PRIOR
        mean = (self.total + PRIOR / 2) / count
        return max((self.squares + PRIOR / 2) / count - mean**2, LEAST_VARIANCE)

    def _level(self, bet: Bet, spread: float) -> float:
        """The level it bets against: of what came before the bet's own beginning, and part of what came since."""
        count = self.count - KEPT_OUT * bet.count + PRIOR
        mean = (self.total - KEPT_OUT * bet.total + PRIOR / 2) / count
        return max(mean - SHY * spread / math.sqrt(count), 0.0)

    def _see(self, score: float) -> None:
        self.count, self.total, self.squares = self.count + 1, self.total + score, self.squares + score * score
        self.course.add(score)

    def _change(self) -> Change:
        """The shape of the whole course; if nothing in it falls, what the surest bet took for the change."""
        shape = self.course.shape(self._variance) or self._surest()
        before, after = (min(max(level, 0.0), 1.0) for level in (shape.before, shape.after))
        return Change(kind=shape.kind, before=before, after=after, ago=shape.ago)

    def _surest(self) -> Shape:
        bet = max(self.bets, key=lambda bet: bet.excess)
        earlier = max(self.count - bet.count, 1)
        return Shape(ChangeKind.SUDDEN, bet.count, (self.total - bet.total) / earlier, bet.total / max(bet.count, 1))

    def _begin_after(self, change: Change) -> None:
        """The level after the change is the level from now on."""
        variance = max(self.squares / self.count - (self.total / self.count) ** 2, 0.0)
        self.restart([])
        if change.kind is ChangeKind.SUDDEN:
            self.count, self.total = change.ago, change.ago * change.after
            self.squares = change.ago * min(variance + change.after**2, change.after)
