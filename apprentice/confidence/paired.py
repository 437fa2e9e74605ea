"""Two models on the same examples: how much better one is, and the odds that it is better at all.

The interval holds at every look: the hold-out set only grows, and one looks at each fine-tune. A normal interval of the
paired differences does not even hold for one look where only one of the two ever wins: at 95% it covered 89%.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from apprentice.confidence.interval import LEVEL
from apprentice.confidence.sequence import ConfidenceSequence

MOST_ODDS = 1e6


class Paired(NamedTuple):
    """Candidate against incumbent: `low` and `high` bound the mean gain, in [-1, 1].

    `odds` are those that the gain is above 0 to that it is below: the wealth of the gambler who bet on the one over
    that of the one who bet on the other, at most `MOST_ODDS`. `differ` counts the examples where the two scored
    differently; without one the odds are 1.
    """

    low: float
    high: float
    odds: float
    differ: int


def compare(candidate: Sequence[float], incumbent: Sequence[float], level: float = LEVEL) -> Paired:
    """Scores in [0, 1] of both on the same examples in the same order. Raises ValueError if one has more of them."""
    gains, differ = ConfidenceSequence(), 0
    for after, before in zip(candidate, incumbent, strict=True):
        gains.add((1.0 + after - before) / 2)
        differ += after != before
    low, high = gains.interval(level)
    odds = math.exp(min(gains.above(0.5) - gains.below(0.5), math.log(MOST_ODDS))) if differ else 1.0
    return Paired(2 * low - 1, 2 * high - 1, odds, differ)
