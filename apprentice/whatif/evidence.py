"""Comparisons that a policy would have made and the log lacks, drawn from those that it has.

Each path of a replay first draws its own pool of the version's comparisons, with replacement, and then from that pool:
so that what the paths are apart by includes how little the log knows (the approximate Bayesian bootstrap; Rubin and
Schenker 1986, JASA 81).
"""

import random
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from apprentice.messages import Answer, Comparison
from apprentice.whatif.log import Log, Logged

NEAR = 0.05
"""Answers whose confidence differs by no more are alike."""
LEAST = 5


class Evidence:
    """Of one path over one log."""

    def __init__(self, log: Log, rng: random.Random) -> None:
        self._rng = rng
        self._holdouts = log.holdouts
        compared: dict[int, list[Comparison]] = {}
        for one in log.requests:
            if one.score is not None and one.version is not None:
                compared.setdefault(one.version, []).append(_comparison(one, one.score, one.version))
        self._pools = {
            version: sorted(rng.choices(found, k=len(found)), key=_confidence) for version, found in compared.items()
        }
        self._sure = {version: [_confidence(one) for one in pool] for version, pool in self._pools.items()}

    def score(self, local: Answer) -> float | None:
        """Of an answer like this one; None if its version was never compared."""
        pool = self._pools.get(local.version or 0)
        if not pool:
            return None
        sure, among = local.confidence or 0.0, self._sure[local.version or 0]
        first, last = bisect_left(among, sure - NEAR), bisect_right(among, sure + NEAR)
        if last - first < LEAST:
            middle = bisect_left(among, sure)
            first, last = max(0, middle - LEAST), middle + LEAST
        return self._rng.choice(pool[first:last]).score

    def holdout(self, version: int, most: int) -> list[Comparison]:
        """The version's hold-out comparisons, at most so many. The store keeps their number and mean alone: so as many
        of those that agreed, and of those that did not, as give that mean.
        """
        count, mean = self._holdouts.get(version, (0, 0.0))
        count, pool = min(count, most), self._pools.get(version, [])
        agreed = round(count * mean)
        good = self._some([one for one in pool if one.score >= 0.5], agreed, Comparison(score=1.0, version=version))
        bad = self._some(
            [one for one in pool if one.score < 0.5], count - agreed, Comparison(score=0.0, version=version)
        )
        found = good + bad
        self._rng.shuffle(found)
        return found

    def _some(self, pool: Sequence[Comparison], count: int, blank: Comparison) -> list[Comparison]:
        return self._rng.choices(pool, k=count) if pool else [blank] * count


def _comparison(one: Logged, score: float, version: int) -> Comparison:
    return Comparison(score=score, propensity=one.chance or 1.0, confidence=one.confidence, version=version)


def _confidence(one: Comparison) -> float:
    return one.confidence or 0.0
