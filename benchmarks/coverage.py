"""How often bounds that hold at every look are ever wrong, how wide they are, and what a proof takes.

    python -m benchmarks.coverage [--runs 2000] [--looks 2000] [--seed 1]

Each run looks after every observation and stops when the bound is wrong, from the first observation on (Wilson, which
is made for one look: from the 20th). Whether a bound was ever wrong is computed for all runs at once: the lower one is
wrong as soon as the evidence against the truth itself is a proof. `tests/apprentice/confidence/test_coverage.py` holds
this form to be equal, look by look, to what production computes.
"""

import argparse
import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from apprentice.confidence.interval import wilson
from apprentice.confidence.sequence import BETS, LOG_SHARES, ConfidenceSequence
from apprentice.confidence.wealth import FRACTIONS, UNIT, proof
from apprentice.confidence.wealth import LOG_SHARES as FRACTION_LOG_SHARES

type Array = np.ndarray[Any, np.dtype[Any]]
type Draw = Callable[[np.random.Generator, tuple[int, ...]], Array]

LEVEL = 0.95
WIDTHS_AT = (50, 100, 500, 2000)
FIRST_WILSON = 20


def bernoulli(mean: float) -> Draw:
    return lambda rng, shape: (rng.random(shape) < mean).astype(float)


def five_fields(mean: float) -> Draw:
    """The share of five fields that are right, each by itself."""
    return lambda rng, shape: rng.binomial(5, mean, shape) / 5


STREAMS: dict[str, tuple[Draw, float]] = {
    **{f"0 or 1, mean {mean}": (bernoulli(mean), mean) for mean in (0.5, 0.85, 0.95, 0.99)},
    "of five fields, mean 0.9": (five_fields(0.9), 0.9),
    "evenly between 0 and 1": (lambda rng, shape: rng.random(shape), 0.5),
}


def evidence(scores: Array, mean: float, weights: Array | float = 1.0) -> Array:
    """`ConfidenceSequence.above(mean)` after each observation (last axis); weight 0 is a request not observed."""
    total, gains = np.zeros(scores.shape), weights * (scores - mean)
    for share, bet in zip(LOG_SHARES, BETS, strict=True):
        total += np.exp(share + np.cumsum(np.log1p(bet / (1 + bet * mean) * gains), axis=-1))
    return np.log(total)


def wealth(gains: Array, worst: float) -> Array:
    """`Wealth.log()` after each gain (last axis)."""
    total = np.zeros(gains.shape)
    for share, f in zip(FRACTION_LOG_SHARES, FRACTIONS, strict=True):
        capital = np.cumsum(np.floor(np.log1p(f * gains / worst) / UNIT), axis=-1)
        total += np.exp(share + UNIT * capital)
    return np.log(total)


def ever_wrong(scores: Array, mean: float, weights: Array | float = 1.0) -> tuple[float, float, float]:
    """Share of runs whose lower, upper, and either bound of the two-sided interval at `LEVEL` was ever wrong."""
    required = proof((1 - LEVEL) / 2)
    low = (evidence(scores, mean, weights) >= required).any(axis=-1)
    high = (evidence(1 - scores, 1 - mean, weights) >= required).any(axis=-1)
    return float(low.mean()), float(high.mean()), float((low | high).mean())


def wilson_ever_wrong(scores: Array, mean: float) -> float:
    """Share of runs in which Wilson's interval at `LEVEL`, taken anew at each look, ever left out the mean.

    It leaves the mean out exactly if the normal test of that mean rejects (Wilson 1927).
    """
    n = np.arange(1, scores.shape[-1] + 1)
    z2 = 1.959963984540054**2
    far = (np.cumsum(scores, axis=-1) / n - mean) ** 2 > z2 * mean * (1 - mean) / n
    return float(far[..., FIRST_WILSON - 1 :].any(axis=-1).mean())


def adaptive(rng: np.random.Generator, runs: int, requests: int) -> tuple[Array, Array, float]:
    """Scores, weights and mean of traffic whose sampling follows what it shows.

    Three requests in ten are unsure: 0.7 of them agree, of the others 0.95. The unsure ones are always observed, the
    others at a rate that falls as the weighted mean of what was seen rises. A request not observed has weight 0.
    """
    unsure = rng.random((runs, requests)) < 0.3
    scores = (rng.random((runs, requests)) < np.where(unsure, 0.7, 0.95)).astype(float)
    coins = rng.random((runs, requests))
    weights = np.zeros((runs, requests))
    seen, total = np.zeros(runs), np.zeros(runs)
    for t in range(requests):
        mean = (seen + 1.0) / (total + 1.0)
        rate = np.select([mean < 0.85, mean < 0.9, mean < 0.95], [1.0, 0.5, 0.25], 0.1)
        observed = unsure[:, t] | (coins[:, t] < rate)
        weights[:, t] = np.where(observed, np.where(unsure[:, t], rate, 1.0), 0.0)
        seen += weights[:, t] * scores[:, t]
        total += weights[:, t]
    return scores, weights, 0.3 * 0.7 + 0.7 * 0.95


def width(draw: Draw, n: int, rng: np.random.Generator, runs: int = 20) -> tuple[float, float]:
    """Mean width at `LEVEL` after `n` scores: of the confidence sequence (production code) and of Wilson's interval."""
    ours, fixed = [], []
    for scores in draw(rng, (runs, n)):
        sequence = ConfidenceSequence()
        for score in scores:
            sequence.add(float(score))
        low, high = sequence.interval(LEVEL)
        below, above = wilson(float(scores.mean()), n, LEVEL)
        ours.append(high - low)
        fixed.append(above - below)
    return float(np.mean(ours)), float(np.mean(fixed))


def to_prove(target: float, truth: float, rng: np.random.Generator, runs: int = 1000, most: int = 3000) -> list[float]:
    """Scores of 0 and 1 needed to prove at `LEVEL` that the mean is at least `target`.

    Median and ninth decile by `Wealth`, the same by `ConfidenceSequence`.
    """
    scores = bernoulli(truth)(rng, (runs, most))
    found = []
    for logs in (wealth(scores - target, target), evidence(scores, target)):
        proven = logs >= proof(1 - LEVEL)
        took = np.where(proven.any(axis=-1), proven.argmax(axis=-1) + 1, np.inf)
        found += [float(np.quantile(took, q, method="inverted_cdf")) for q in (0.5, 0.9)]
    return found


def once(target: float, truth: float, power: float) -> int:
    """Scores after which the lower bound of Wilson's interval at `LEVEL` one-sided, looked at once, is at the target
    with this probability (normal approximation)."""
    z, beta = 1.6448536269514722, {0.5: 0.0, 0.9: 1.2815515655446004}[power]
    spread = z * math.sqrt(target * (1 - target)) + beta * math.sqrt(truth * (1 - truth))
    return math.ceil((spread / (truth - target)) ** 2)


def table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    names = list(heads)
    print("", "| " + " | ".join(names) + " |", "|" + " --- |" * len(names), sep="\n")
    for row in rows:
        print("| " + " | ".join(row) + " |", flush=True)


def coverage_rows(rng: np.random.Generator, runs: int, looks: int) -> Iterable[list[str]]:
    for name, (draw, mean) in STREAMS.items():
        scores = draw(rng, (runs, looks))
        wrong = [f"{share:.1%}" for share in ever_wrong(scores, mean)]
        yield [name, *wrong, f"{wilson_ever_wrong(scores, mean):.1%}"]
    scores, weights, mean = adaptive(rng, runs, looks)
    yield [f"weighted, mean {mean:.3f}", *(f"{share:.1%}" for share in ever_wrong(scores, mean, weights)), "-"]


def width_rows(rng: np.random.Generator) -> Iterable[list[str]]:
    for name, (draw, _) in STREAMS.items():
        pairs = [width(draw, n, rng) for n in WIDTHS_AT]
        yield [name, *(f"{ours:.3f} / {fixed:.3f}" for ours, fixed in pairs)]


def proof_rows(rng: np.random.Generator) -> Iterable[list[str]]:
    for target, truth in [(0.85, 0.89), (0.85, 0.92), (0.85, 0.95), (0.85, 1.0), (0.9, 0.95), (0.95, 0.98)]:
        took = to_prove(target, truth, rng)
        yield [
            f"{target}",
            f"{truth}",
            *(f"{took[i]:.0f} ({took[i + 1]:.0f})" for i in (0, 2)),
            f"{once(target, truth, 0.5)} ({once(target, truth, 0.9)})",
        ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--looks", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    rng = np.random.default_rng(args.seed)
    print(f"Share of {args.runs} runs in which a bound at {LEVEL:.0%} was ever wrong in {args.looks} looks")
    heads = ["scores", "lower", "upper", "either", "Wilson at every look"]
    table(heads, coverage_rows(rng, args.runs, args.looks))
    print(f"\nMean width at {LEVEL:.0%}: confidence sequence / Wilson's interval, which may be looked at once")
    table(["scores", *(f"n = {n}" for n in WIDTHS_AT)], width_rows(rng))
    print(f"\nScores of 0 and 1 that prove at {LEVEL:.0%} that the mean is at least the target: median (ninth decile)")
    table(["target", "truth", "Wealth", "ConfidenceSequence", "Wilson, one look planned"], proof_rows(rng))


if __name__ == "__main__":
    main()
