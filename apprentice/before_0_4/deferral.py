"""When the local model is too unsure to be served."""

from collections.abc import Sequence
from itertools import groupby

from apprentice.confidence.interval import squared_quantile
from apprentice.messages import Comparison

CONFIDENCE = 0.90  # two-sided, so that the lower bound alone holds at 95%


def threshold(comparisons: Sequence[Comparison], target: float) -> float:
    """The lowest confidence at which what is served locally agrees with the teacher at `target` or better.

    Walks down a fair sample of compared answers from the surest to the least sure and returns the lowest confidence
    at which the lower bound (one-sided 95%) of the agreement of all surer answers is still at least `target`. 0.0:
    every answer may be served; 1.0: none, there is no such confidence. Answers without a confidence count as unsure.
    """
    ordered = sorted(comparisons, key=_confidence, reverse=True)
    # The lower Wilson bound reaches the target exactly when the score test does not reject it (Wilson 1927):
    # n (mean - target)^2 >= z^2 target (1 - target).
    needed = squared_quantile(CONFIDENCE) * target * (1.0 - target)
    lowest, total, n = 1.0, 0.0, 0
    for confidence, tied in groupby(ordered, key=_confidence):
        for comparison in tied:
            total, n = total + comparison.score, n + 1
        excess = total - target * n
        if excess >= 0.0 and excess * excess >= needed * n:
            lowest = confidence
    everything = bool(ordered) and lowest <= _confidence(ordered[-1])
    return 0.0 if everything else lowest


def _confidence(comparison: Comparison) -> float:
    return comparison.confidence if comparison.confidence is not None else 0.0
