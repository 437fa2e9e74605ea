"""What the scores on the hold-out set amount to: the evidence that a promotion is judged by."""

from collections.abc import Sequence

from apprentice.confidence.interval import paired_difference, wilson
from apprentice.messages import Comparison, Validation


def summarise(candidate: Sequence[Comparison], incumbent: Sequence[Comparison], window_size: int) -> Validation:
    """The validation of a candidate; `incumbent` is empty or was scored on the same examples in the same order."""
    scores = [comparison.score for comparison in candidate]
    if not scores:
        return Validation(holdout=0, mean=None, low=None, high=None)
    mean = sum(scores) / len(scores)
    low, high = wilson(mean, len(scores))
    before = [comparison.score for comparison in incumbent]
    gain_low, gain_high = paired_difference(scores, before) if before else (None, None)
    return Validation(
        holdout=len(scores),
        mean=mean,
        low=low,
        high=high,
        incumbent_mean=sum(before) / len(before) if before else None,
        gain_low=gain_low,
        gain_high=gain_high,
        comparisons=list(candidate[-window_size:]),
    )
