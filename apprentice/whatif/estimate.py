"""Means over requests of which only some were looked at, each with a known probability.

A request whose value is known counts as it is. Those whose value nobody knows are represented by those that were
looked at by a coin: each stands for `(1 - p) / p` others like it, p being its propensity. That sum is an unbiased
prediction of theirs under any policy that tossed the coins without looking (Horvitz and Thompson 1952; off-policy:
Dudik, Langford and Li 2011, doi 10.48550/arXiv.1103.4601); divided by the sum of the weights (self-normalised, Hajek
1971) it is steadier. The question is asked once, of a log that does not grow: intervals are for a fixed sample, not
for looking again and again.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

LEVEL = 0.95
STEPS = 60


@dataclass(frozen=True, slots=True)
class Item:
    """One request of an estimate.

    `own` is its weight in the total that is asked for, `stands` its weight as one of a kind that others are
    represented by; they differ where only the unseen are asked for. `chance` is the probability that `value` is known;
    0 or None: it stands for nobody, and where its value is not known nobody stands for it (`unsupported`).
    """

    own: float
    stands: float
    value: float | None
    chance: float | None


@dataclass(frozen=True, slots=True)
class Estimate:
    """A weighted mean over `weight` requests with its interval, and how many more (`unsupported`) nothing is known of.

    `seen` requests were looked at, `effective` is what their weights leave of that number for the part that is not
    known. `mean` is None without any support.
    """

    weight: float
    unsupported: float
    seen: int
    effective: float
    mean: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class _Parts:
    """`known` of the total is known and amounts to `amount`; `rest` is represented by `values` with `weights`.

    The error of that prediction has the variance sum of (1 - p) / p over all requests: of `squares`, (1 - p) / p^2,
    over those that are known.
    """

    known: float
    amount: float
    rest: float
    unsupported: float
    seen: int
    values: list[float]
    weights: list[float]
    squares: list[float]

    @property
    def effective(self) -> float:
        """How many requests of equal weight would say as much."""
        squares = math.fsum(self.squares)
        return math.fsum(self.weights) ** 2 / squares if squares else 0.0


def share(items: Sequence[Item], level: float = LEVEL) -> Estimate:
    """The mean of values in [0, 1]; its interval is Chernoff's, at the effective sample size (see `chernoff`)."""
    return _estimate(_parts(items), lambda mean, parts: chernoff(mean, parts.effective, level))


def amount(items: Sequence[Item], level: float = LEVEL) -> Estimate:
    """The mean of values of any size; its interval is Student's, at the effective sample size."""

    def interval(mean: float, parts: _Parts) -> tuple[float, float]:
        if parts.effective <= 1.5:
            return 0.0, math.inf
        # A value pulls the mean towards itself: its residual is taken as if it had no part in it (HC3; MacKinnon and
        # White 1985, doi 10.1016/0304-4076(85)90158-7).
        total = math.fsum(parts.weights)
        each = zip(parts.squares, parts.weights, parts.values, strict=True)
        errors = math.fsum(s * ((v - mean) / (1.0 - w / total)) ** 2 for s, w, v in each)
        error = math.sqrt(errors) / total
        half = student(parts.effective - 1, level) * error
        return max(0.0, mean - half), mean + half

    return _estimate(_parts(items), interval)


def _parts(items: Sequence[Item]) -> _Parts:
    known = amount = rest = unsupported = 0.0
    seen = 0
    values: list[float] = []
    weights: list[float] = []
    squares: list[float] = []
    for item in items:
        if item.value is None:
            supported = item.chance is not None and item.chance > 0.0
            rest += item.own if supported else 0.0
            unsupported += 0.0 if supported else item.own
            continue
        known += item.own
        amount += item.own * item.value
        seen += item.own > 0 or item.stands > 0
        if item.chance is not None and 0.0 < item.chance < 1.0 and item.stands > 0:
            missed = (1.0 - item.chance) / item.chance
            values.append(item.value)
            weights.append(item.stands * missed)
            squares.append(item.stands**2 * missed / item.chance)
    if not values:
        unsupported, rest = unsupported + rest, 0.0
    return _Parts(known, amount, rest, unsupported, seen, values, weights, squares)


def _estimate(parts: _Parts, interval: Callable[[float, _Parts], tuple[float, float]]) -> Estimate:
    weight = parts.known + parts.rest
    if weight <= 0:
        return Estimate(0.0, parts.unsupported, parts.seen, parts.effective, None, None, None)
    mean = low = high = 0.0
    if parts.rest > 0:
        mean = math.fsum(w * v for w, v in zip(parts.weights, parts.values, strict=True)) / math.fsum(parts.weights)
        low, high = interval(mean, parts)
    whole = [(parts.amount + parts.rest * part) / weight for part in (mean, low, high)]
    return Estimate(weight, parts.unsupported, parts.seen, parts.effective, *whole)


def chernoff(mean: float, n: float, level: float = LEVEL) -> tuple[float, float]:
    """Two-sided interval for the mean of `n` values in [0, 1] (Hoeffding 1963, theorem 1).

    All means m with n KL(mean, m) <= ln(2 / (1 - level)). It holds for values of any distribution in [0, 1] and at any
    n, where those with normal quantiles are short near 0 and 1; with unequal weights n is their effective number.
    """
    if n <= 0:
        return 0.0, 1.0
    most = math.log(2.0 / (1.0 - level)) / n
    return _edge(mean, 0.0, most), _edge(mean, 1.0, most)


def _edge(mean: float, end: float, most: float) -> float:
    inside, outside = mean, end
    for _ in range(STEPS):
        middle = (inside + outside) / 2
        inside, outside = (middle, outside) if _divergence(mean, middle) <= most else (inside, middle)
    return outside


def _divergence(p: float, q: float) -> float:
    """Kullback-Leibler, of Bernoulli distributions."""
    if not 0.0 < q < 1.0:
        return 0.0 if p == q else math.inf
    first = p * math.log(p / q) if p > 0 else 0.0
    return first + ((1 - p) * math.log((1 - p) / (1 - q)) if p < 1 else 0.0)


def student(freedom: float, level: float = LEVEL) -> float:
    """About the quantile of Student's t (Cornish and Fisher's expansion): within 1% from 4 degrees of freedom on."""
    z = NormalDist().inv_cdf((1 + level) / 2)
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / freedom + second / freedom**2 + third / freedom**3
