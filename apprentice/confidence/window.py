"""The correlation window: what the last comparisons say about the local model on all of the traffic.

Comparisons are not made at one rate: a spot check at a rate of 2% stands for fifty requests, a comparison while
coaching for one. Every mean here is therefore the self-normalised inverse-propensity estimate (Hájek), and its
sample size the effective one (Kish): (sum w)^2 / sum w^2.
"""

import math
from collections.abc import Sequence

from apprentice.confidence.interval import wilson
from apprentice.messages import Comparison, Interval


def mean(comparisons: Sequence[Comparison]) -> float:
    """Weighted mean score of a non-empty window, in [0, 1]."""
    weights = [1.0 / comparison.propensity for comparison in comparisons]
    total = math.fsum([w * c.score for w, c in zip(weights, comparisons, strict=True)])
    return min(1.0, max(0.0, total / math.fsum(weights)))


def effective_size(comparisons: Sequence[Comparison]) -> float:
    """How many equally weighted comparisons the window is worth."""
    weights = [1.0 / comparison.propensity for comparison in comparisons]
    squares = math.fsum([w * w for w in weights])
    return math.fsum(weights) ** 2 / squares if squares else 0.0


def correlation(comparisons: Sequence[Comparison]) -> Interval | None:
    """The windowed mean agreement with its 95% interval; None for an empty window."""
    if not comparisons:
        return None
    estimate, n = mean(comparisons), effective_size(comparisons)
    low, high = wilson(estimate, n)
    return Interval(mean=estimate, low=low, high=high, n=n)


def trend(comparisons: Sequence[Comparison]) -> float | None:
    """Mean of the newer half minus mean of the older half, in [-1, 1]; None under four comparisons."""
    if len(comparisons) < 4:
        return None
    middle = len(comparisons) // 2
    return mean(comparisons[middle:]) - mean(comparisons[:middle])
