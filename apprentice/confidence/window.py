"""The correlation window: what the last comparisons say about the local model on all of the traffic.

Only fair comparisons are in it: requests chosen for a comparison by a coin that was tossed before anyone looked at
them. At whatever rate the coin fell, each is a draw from the traffic of its time, so the plain mean of the last n is
unbiased under adaptive sampling, seen after any number of comparisons. (Seen at a random moment it is about one point
high: a high mean lowers the rate, and so lasts longer.) Weighting them by 1 / propensity across times would not cure
that, and a spot check at 3% would outweigh thirty comparisons from before: in the demo it left an effective sample of
12 to 20 out of 100, and the rate swung between its floor and 1. Requests that were deferred because the model was
unsure are no fair draw.
"""

import math
from collections.abc import Sequence

from apprentice.confidence.interval import wilson
from apprentice.messages import Comparison, Interval


def mean(comparisons: Sequence[Comparison]) -> float:
    """Mean score of a non-empty window, in [0, 1]."""
    return math.fsum(comparison.score for comparison in comparisons) / len(comparisons)


def correlation(comparisons: Sequence[Comparison]) -> Interval | None:
    """The windowed mean agreement with its 95% interval; None for an empty window."""
    if not comparisons:
        return None
    estimate, n = mean(comparisons), len(comparisons)
    low, high = wilson(estimate, n)
    return Interval(mean=estimate, low=low, high=high, n=n)


def trend(comparisons: Sequence[Comparison]) -> float | None:
    """Mean of the newer half minus mean of the older half, in [-1, 1]; None under four comparisons."""
    if len(comparisons) < 4:
        return None
    middle = len(comparisons) // 2
    return mean(comparisons[middle:]) - mean(comparisons[:middle])
