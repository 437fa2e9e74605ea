"""Confidence intervals for the mean of scores in [0, 1]."""

import math
from functools import cache
from statistics import NormalDist

LEVEL = 0.95


def wilson(mean: float, n: int, level: float = LEVEL) -> tuple[float, float]:
    """Two-sided Wilson score interval (Wilson 1927) of a mean of `n` scores in [0, 1].

    For scores that are not just 0 or 1 it is conservative: no distribution on [0, 1] with this mean has a larger
    variance than the two-point one. Without a sample the interval is [0, 1].
    """
    if n <= 0:
        return 0.0, 1.0
    z2 = squared_quantile(level)
    centre = (mean + z2 / (2 * n)) / (1 + z2 / n)
    half = math.sqrt(z2 * max(mean * (1 - mean), 0.0) / n + z2 * z2 / (4 * n * n)) / (1 + z2 / n)
    return max(0.0, centre - half), min(1.0, centre + half)


@cache
def squared_quantile(level: float) -> float:
    """z squared, where a standard normal is within z of 0 with probability `level`."""
    return NormalDist().inv_cdf((1 + level) / 2) ** 2
