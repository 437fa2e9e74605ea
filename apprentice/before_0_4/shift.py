"""Proof of a sudden drop: an e-detector for the mean of scores in [0, 1].

The statistic is the e-CUSUM of Shin, Ramdas and Rinaldo (2022, "E-detectors", arXiv:2203.03532) with one betting
fraction: while the conditional mean is at least `floor`, the expected time to a false alarm is at least
`1 / FALSE_ALARM_RATE` comparisons, whatever the distribution and however often one looks.
"""

FALSE_ALARM_RATE = 1e-4
BET = 0.5


def step(statistic: float, score: float, floor: float) -> float:
    """The statistic after one more score; starts at 0. Scores must be a fair sample of the traffic."""
    # The largest fraction that keeps the factor positive is 1 / (1 - floor); half of it is near-optimal for the
    # drops that matter here (from above the floor to well under it) and never bets everything on one score.
    fraction = BET / (1.0 - floor)
    # Beyond the proof there is nothing to count, and an unbounded product would end at infinity.
    return min(max(statistic, 1.0) * (1.0 + fraction * (floor - score)), 1.0 / FALSE_ALARM_RATE)


def proven(statistic: float) -> bool:
    """Whether the drop below the floor is proven at `FALSE_ALARM_RATE`."""
    return statistic >= 1.0 / FALSE_ALARM_RATE
