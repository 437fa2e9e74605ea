"""Whether the mean of what is served fell below what was promised: the e-detector against a fixed floor.

Here nothing is estimated, so the false-alarm rate is kept by every distribution (see `detector`).
"""

from pydantic import BaseModel, ConfigDict, Field

from apprentice.confidence.detector import FALSE_ALARM_RATE, NEAREST_TO_ONE, Bet, statistic, suspicion

SHARES = (0.05, 0.15, 0.5)
"""Bets as shares of the largest that one score cannot lose; each is best for a fall by that share of the floor."""
WEIGHTS = (0.5, 0.33, 0.17)
USUAL = 100.0


class Promise(BaseModel):
    """That the mean score is at least a floor. Scores must be a fair sample of what the promise is about."""

    model_config = ConfigDict(extra="forbid")

    bets: list[Bet] = Field(default_factory=lambda: [Bet() for _ in SHARES])

    def learn(self, score: float, floor: float, rate: float = FALSE_ALARM_RATE) -> bool:
        """Take in one score; whether the promise is proven broken. It stays so until another `Promise` begins."""
        if self.broken(rate):
            return True
        for bet, share in zip(self.bets, SHARES, strict=True):
            bet.step(score, floor, share / (1.0 - min(floor, NEAREST_TO_ONE)))
        return self.broken(rate)

    def broken(self, rate: float = FALSE_ALARM_RATE) -> bool:
        """Whether the mean was below the floor, at `rate` false alarms a comparison."""
        return statistic(self.bets, WEIGHTS) >= 1.0 / rate

    @property
    def ago(self) -> int:
        """How many scores ago a breach began, as the surest bet takes it."""
        return max(self.bets, key=lambda bet: bet.excess).count

    def suspicion(self, rate: float = FALSE_ALARM_RATE) -> float:
        """0 where nothing points to a breach, 1 where it is proven; in between by the order of magnitude."""
        return suspicion(statistic(self.bets, WEIGHTS), USUAL, rate)
