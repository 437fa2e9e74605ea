"""Proof that a mean fell: an e-detector for scores in [0, 1], one small step for each score.

The statistic is the e-SR (Shiryaev-Roberts) detector of Shin, Ramdas and Rinaldo (2022, "E-detectors",
arXiv:2203.03532), mixed over bets for drops of several sizes. While the conditional mean of the scores is at least
the floor they are bet against, the expected number of scores until the statistic passes `1 / rate` is at least
`1 / rate`, whatever the distribution, however the floor moves with the past, and however often one looks. It is never
smaller than the e-CUSUM statistic, so with the same promise it is sooner.
"""

import math
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

FALSE_ALARM_RATE = 1e-4
"""False alarms a comparison."""
LARGEST_SHARE = 0.9
"""Of the largest bet that one score cannot lose: betting all of it, one good score would end the evidence for ever."""
NEAREST_TO_ONE = 0.995
"""A floor at 1 would make one miss an infinite proof."""
LARGEST = 1e30


class Bet(BaseModel):
    """One bet's standing. `evidence` is the e-SR statistic; `excess` the log e-CUSUM, which is 0 where it last began
    anew, `count` scores ago, of the sum `total`: what the bet takes for "since the change".
    """

    model_config = ConfigDict(extra="forbid")

    evidence: float = 0.0
    excess: float = 0.0
    count: int = 0
    total: float = 0.0

    def step(self, score: float, floor: float, stake: float) -> None:
        """Take in one score, bet against a mean of at least `floor`. `stake` is the optimal one for a drop of
        `stake * variance`; none may depend on the score.
        """
        floor = min(floor, NEAREST_TO_ONE)
        factor = 1.0 + min(stake, LARGEST_SHARE / (1.0 - floor)) * (floor - score)
        self.evidence = min((self.evidence + 1.0) * factor, LARGEST)
        self.excess += math.log(factor)
        self.count, self.total = self.count + 1, self.total + score
        if self.excess <= 0.0:
            self.excess, self.count, self.total = 0.0, 0, 0.0


def statistic(bets: Sequence[Bet], weights: Sequence[float]) -> float:
    """The mixture; `weights` sum to 1."""
    return math.fsum(weight * bet.evidence for bet, weight in zip(bets, weights, strict=True))


def suspicion(value: float, usual: float, rate: float) -> float:
    """How far on its way the statistic is from what is `usual` without a change to an alarm, in [0, 1], by its log."""
    alarm = 1.0 / rate
    if value <= usual or alarm <= usual:
        return float(value >= alarm)
    return min(math.log(value / usual) / math.log(alarm / usual), 1.0)
