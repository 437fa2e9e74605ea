"""How many of the requests to buy now, so that the fewest wrong answers are served until the allowance ends.

The rest of the period is taken as a flow. A local answer is wrong with the probability that its confidence leaves; all
these fall with the number of examples n as (n / today's n)^-LEARNING. Buying an answer saves its own error at once, and
an example more saves, from then on,

    v(t) = integral from t to the end of  LEARNING * error(s) / n(s)  ds

errors of what is served locally (the costate of n in Pontryagin's maximum principle). So the best policy buys a
request at time t when its doubt + v(t) is above a constant price, that at which all calls are spent at the end: early,
when v is large, nearly everything; near the end only what is unsure. Path and price depend on each other and are
found in turn, once from a path that buys first and once from a steady one; the better of all that was met counts.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

LEARNING = 0.4
"""Exponent of the learning curve. Between 0.3 and 0.7 on the tasks that we tried; with 0.3 or 0.7 in its place the
errors served differ by some 2%, so it is not worth estimating from a handful of versions."""
STEPS = 12
ROUNDS = 4
BISECTIONS = 14
TINY = 1e-6
"""Below it lies every price: at that, even what is certain is bought."""


class _Path(NamedTuple):
    """For each step: examples at hand, and errors of a request among those that are served locally."""

    examples: list[float]
    errors: list[float]

    def towards(self, other: "_Path") -> "_Path":
        """Half-way to another: whole steps would go to and fro between buying early and late."""
        examples = [(a + b) / 2 for a, b in zip(self.examples, other.examples, strict=True)]
        return _Path(examples, [(a + b) / 2 for a, b in zip(self.errors, other.errors, strict=True)])


class _Outcome(NamedTuple):
    shares: list[float]
    path: _Path
    wrong: float


@dataclass(frozen=True)
class Plan:
    """`doubts` is a sample of the traffic: the probabilities that the local answers are wrong, in any order, not empty.

    `examples` are trained on today, `calls` are left for `requests`; of what is bought, a share `kept` is trained on.
    """

    doubts: Sequence[float]
    examples: float
    calls: float
    requests: float
    kept: float = 1.0

    def share(self) -> float:
        """Of the requests that come now, the most doubtful share to buy, in [0, 1]."""
        if self.calls >= self.requests:
            return 1.0
        if self.calls <= 0:
            return 0.0
        flow = _Flow(self)
        return min((flow.best(early=early) for early in (True, False)), key=lambda found: found.wrong).shares[0]


class _Flow:
    """The arithmetic of a plan."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        doubts = sorted(plan.doubts, reverse=True)
        self.falling = [-doubt for doubt in doubts]
        self.sums = [0.0, *accumulate(doubts)]
        self.size = len(doubts)
        self.step = plan.requests / STEPS
        self.now = max(1.0, plan.examples)

    def best(self, *, early: bool) -> _Outcome:
        """The best of some rounds, begun from a path that buys at once or from a steady one."""
        path, found = self._first(early=early), []
        for _ in range(ROUNDS):
            found.append(self._forward(self._shares(path)))
            path = path.towards(found[-1].path)
        return min(found, key=lambda one: one.wrong)

    def _first(self, *, early: bool) -> _Path:
        plan = self.plan
        middles = [(step + 0.5) * self.step for step in range(STEPS)]
        bought = [min(plan.calls, m) if early else plan.calls * m / plan.requests for m in middles]
        examples = [self.now + plan.kept * calls for calls in bought]
        remaining = self._unbought(plan.calls / plan.requests)
        return _Path(examples, [remaining * self._learnt(n) for n in examples])

    def _learnt(self, examples: float) -> float:
        return float((self.now / examples) ** LEARNING)

    def _unbought(self, share: float) -> float:
        """Today's errors of a request, if the most doubtful share of all is bought."""
        whole = min(int(share * self.size), self.size - 1)
        part = share * self.size - whole
        return (self.sums[-1] - self.sums[whole] - part * (self.sums[whole + 1] - self.sums[whole])) / self.size

    def _values(self, path: _Path) -> list[float]:
        """v of each step: what one more call, made then, saves later by teaching."""
        values, later = [0.0] * STEPS, 0.0
        for step in reversed(range(STEPS)):
            gain = LEARNING * path.errors[step] / path.examples[step] * self.step * self.plan.kept
            values[step], later = later + gain / 2, later + gain
        return values

    def _shares(self, path: _Path) -> list[float]:
        """What to buy in each step along a path, all calls together."""
        values = self._values(path)
        learnt = [self._learnt(examples) for examples in path.examples]

        def bought(price: float) -> list[float]:
            limits = ((price - value) / scale for value, scale in zip(values, learnt, strict=True))
            return [1.0 if limit < 0 else bisect_left(self.falling, -limit) / self.size for limit in limits]

        low, high = -TINY, 1.0 + values[0]
        for _ in range(BISECTIONS):
            price = (low + high) / 2
            low, high = (price, high) if sum(bought(price)) * self.step > self.plan.calls else (low, price)
        # Doubts that are equal are bought all or none at any price: as much of both as spends the calls.
        more, less = bought(low), bought(high)
        gap = (sum(more) - sum(less)) * self.step
        part = (self.plan.calls - sum(less) * self.step) / gap if gap else 0.0
        part = min(1.0, max(0.0, part))
        return [b + part * (a - b) for a, b in zip(more, less, strict=True)]

    def _forward(self, shares: list[float]) -> _Outcome:
        """What comes of buying these shares, as long as there are calls."""
        examples, calls, wrong = self.now, self.plan.calls, 0.0
        path = _Path([], [])
        for share in shares:
            paid = min(share * self.step, calls)
            errors = self._unbought(paid / self.step) * self._learnt(examples)
            path.examples.append(examples + self.plan.kept * paid / 2)
            path.errors.append(errors)
            examples, calls, wrong = examples + self.plan.kept * paid, calls - paid, wrong + errors * self.step
        return _Outcome(shares, path, wrong)
