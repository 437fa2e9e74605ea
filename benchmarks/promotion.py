"""What a rule of promotion lets through, and what is served in the long run.

    python -m benchmarks.promotion [--runs 2000] [--seed 1]

`odds` is the rule in use (`apprentice.promotion.judge`); `mean` promotes whatever does not score below the incumbent on
the hold-out set, `proof` only what is proven better at 95%, `unless worse` all that is not proven worse. First: the
share of candidates that is promoted, by true gain and size of the hold-out set, where one of the two alone is right on
12% of the examples. Then careers: 15 versions, one after the other, each trained on more examples than the one before.
"""

import argparse
import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from apprentice.confidence.wealth import proof
from apprentice.promotion import LEAST_ODDS
from benchmarks.coverage import evidence, table

type Array = np.ndarray[Any, np.dtype[Any]]

DISCORD = 0.12
VERSIONS = 15


def for_and_against(gains: Array) -> tuple[Array, Array]:
    """The evidence, as logs, that the mean gain of each run is above 0 and that it is below."""
    halved = (1 + gains) / 2
    return evidence(halved, 0.5)[:, -1], evidence(1 - halved, 0.5)[:, -1]


def odds(gains: Array) -> Array:
    better, worse = for_and_against(gains)
    taken: Array = (better - worse >= math.log(LEAST_ODDS)) | (gains == 0).all(axis=1)
    return taken


RULES: dict[str, Callable[[Array], Array]] = {
    "mean": lambda gains: gains.mean(axis=1) >= 0,
    "odds": odds,
    "proof": lambda gains: for_and_against(gains)[0] >= proof(0.05),
    "unless worse": lambda gains: for_and_against(gains)[1] < proof(0.05),
}


def gains(rng: np.random.Generator, gain: Array, holdout: int) -> Array:
    """For each run with its true gain, candidate minus incumbent on each hold-out example: -1, 0 or 1."""
    discord = np.maximum(DISCORD, np.abs(gain) + 0.02)[:, None]
    draws, wins = rng.random((len(gain), holdout)), (discord + gain[:, None]) / 2
    return np.where(draws < wins, 1.0, np.where(draws < discord, -1.0, 0.0))


def shares(gain: float, holdout: int, runs: int, seed: int = 1) -> dict[str, float]:
    """By rule, the share of candidates with this true gain that is promoted."""
    drawn = gains(np.random.default_rng(seed), np.full(runs, gain), holdout)
    return {name: float(rule(drawn).mean()) for name, rule in RULES.items()}


def career(rule: Callable[[Array], Array], *, steep: float, noise: float, runs: int, seed: int) -> tuple[float, ...]:
    """Mean true agreement of what serves, how often a step lost over two points, promotions, and the ninth decile of
    the deepest fall below the best that served.

    Version k is trained on n = 60 * 1.4^k examples and tried on n / 5 others; it truly agrees on 0.93 - steep /
    sqrt(n), and some noise.
    """
    rng, n = np.random.default_rng(seed), 60.0
    serving: Array | None = None
    served, lost, promoted, deepest = [], 0.0, 0.0, np.zeros(runs)
    for _ in range(VERSIONS):
        candidate = np.clip(0.93 - steep / math.sqrt(n) + rng.normal(0, noise, runs), 0.05, 0.99)
        if serving is None:
            serving = best = candidate
        gain = candidate - serving
        taken = rule(gains(rng, gain, max(5, int(n / 5)))) & (gain != 0)
        lost, promoted = lost + float((taken & (gain < -0.02)).mean()), promoted + float(taken.mean())
        serving = np.where(taken, candidate, serving)
        best = np.maximum(best, serving)
        deepest = np.maximum(deepest, best - serving)
        served.append(float(serving.mean()))
        n = min(n * 1.4, 2000.0)
    return float(np.mean(served)), lost / (VERSIONS - 1), promoted, float(np.quantile(deepest, 0.9))


def share_rows(runs: int, seed: int) -> Iterable[list[str]]:
    for holdout in (20, 100, 500):
        found = [shares(gain, holdout, runs, seed) for gain in (-0.05, -0.02, 0.0, 0.03)]
        for name in RULES:
            yield [str(holdout), name, *(f"{share[name]:.0%}" for share in found)]


def career_rows(runs: int, seed: int) -> Iterable[list[str]]:
    for kind, steep, noise in [("learns", 1.5, 0.02), ("has learnt", 0.0, 0.02)]:
        for name, rule in RULES.items():
            served, lost, promoted, deepest = career(rule, steep=steep, noise=noise, runs=runs, seed=seed)
            yield [kind, name, f"{served:.3f}", f"{lost:.1%}", f"{promoted:.1f}", f"{deepest:.3f}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    heads = ["hold-out", "rule", "5 points worse", "2 worse", "equal", "3 better"]
    print(f"Share of {args.runs} candidates that is promoted")
    table(heads, share_rows(args.runs, args.seed))
    print(f"\nCareers of {VERSIONS} versions, {args.runs} runs")
    heads = ["task", "rule", "served", "steps that lost 2 points", "promotions", "deepest fall (p90)"]
    table(heads, career_rows(args.runs, args.seed))


if __name__ == "__main__":
    main()
