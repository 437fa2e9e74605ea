"""What the scores on the hold-out set amount to: the evidence that a promotion is judged by."""

from collections.abc import Sequence

from apprentice.confidence.interval import wilson
from apprentice.confidence.paired import compare
from apprentice.messages import Comparison, Validation


def summarise(candidate: Sequence[Comparison], incumbent: Sequence[Comparison], window_size: int) -> Validation:
    """The validation of a candidate; `incumbent` is empty or was scored on the same examples in the same order."""
    scores = [comparison.score for comparison in candidate]
    if not scores:
        return Validation(holdout=0, mean=None, low=None, high=None)
    mean = sum(scores) / len(scores)
    low, high = wilson(mean, len(scores))
    before = [comparison.score for comparison in incumbent]
    paired = compare(scores, before) if before else None
    return Validation(
        holdout=len(scores),
        mean=mean,
        low=low,
        high=high,
        incumbent_mean=sum(before) / len(before) if before else None,
        gain_low=paired.low if paired else None,
        gain_high=paired.high if paired else None,
        odds=paired.odds if paired else None,
        differ=paired.differ if paired else None,
        comparisons=list(candidate[-window_size:]),
    )
