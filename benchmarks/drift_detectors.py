"""The detectors that `benchmarks.drift` compares: each gives a statistic after each score, and alarms above a level.

What each is asked for is the same: one alarm, when the mean has fallen. Alarms upwards are not held against anyone.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Any, NamedTuple

from river import drift
from river.drift import kswin

from apprentice.confidence.change import WEIGHTS, Watch
from apprentice.confidence.detector import statistic

ADWIN_DELTAS = tuple(100.0 * 0.6**step for step in range(26))
"""Beyond 1 a delta means nothing, but its author's bound is so wide that fewer false alarms than ours need it."""
RECENT = 0.05
"""Weight of a score in the mean that tells a fall from a rise."""

type Trace = Callable[[Iterable[float]], Iterator[float]]


class Contender(NamedTuple):
    """A detector with one of its settings; the setting that makes it more or less sensitive is left open."""

    name: str
    setting: str
    trace: Trace

    def __str__(self) -> str:
        return f"{self.name} {self.setting}".strip()


def ours(scores: Iterable[float]) -> Iterator[float]:
    """Log of the e-statistic of `Watch`, as it runs in production, but never told that it alarmed."""
    watch = Watch()
    for score in scores:
        watch.learn(score, rate=1e-300)
        yield math.log(statistic(watch.bets, WEIGHTS) + 1e-12)


def page_hinkley(delta: float, alpha: float) -> Trace:
    """The statistic that river compares with `threshold`."""

    def trace(scores: Iterable[float]) -> Iterator[float]:
        detector: Any = drift.PageHinkley(delta=delta, alpha=alpha, threshold=math.inf, mode="down")
        for count, score in enumerate(scores, 1):
            detector.update(score)
            yield detector._max_decrease - detector._sum_decrease if count >= detector.min_instances else -math.inf

    return trace


def adwin(clock: int) -> Trace:
    """-log of the smallest `delta` that alarms at this score, of a grid; -inf if none does."""

    def trace(scores: Iterable[float]) -> Iterator[float]:
        make: Any = drift.ADWIN
        detectors = [(-math.log(delta), make(delta=delta, clock=clock)) for delta in ADWIN_DELTAS]
        for score in scores:
            found = -math.inf
            for value, detector in detectors:
                before = detector.estimation
                detector.update(score)
                if detector.drift_detected and detector.estimation < before:
                    found = max(found, value)
            yield found

    return trace


def kolmogorov_smirnov(window: int, recent: int) -> Trace:
    """-log of the p-value that river compares with `alpha`, while the recent scores are the lower ones."""

    def trace(scores: Iterable[float]) -> Iterator[float]:
        detector: Any = drift.KSWIN(alpha=0.0, window_size=window, stat_size=recent, seed=1)
        slow = fast = 0.5
        for count, score in enumerate(scores, 1):
            detector.update(score)
            slow += (score - slow) / count
            fast += RECENT * (score - fast)
            full = count >= window and fast < slow
            yield -math.log(max(detector.p_value, 1e-300)) if full else -math.inf

    return trace


def remember_p_values() -> None:
    """The same test, but once for the same two samples: scipy takes 0.3 ms for each, and there are few."""
    module: Any = kswin
    test = module.stats.ks_2samp

    @cache
    def known(first: tuple[float, ...], second: tuple[float, ...], method: str) -> Any:
        return test(first, second, method=method)

    class Remembering:
        @staticmethod
        def ks_2samp(first: list[float], second: list[float], method: str) -> Any:
            return known(tuple(sorted(first)), tuple(sorted(second)), method)

    module.stats = Remembering


def contenders(quick: bool) -> list[Contender]:
    """Ours, and those of river with what their settings can be."""
    deltas = (0.02, 0.05) if quick else (0.005, 0.01, 0.02, 0.035, 0.05, 0.1)
    alphas = (1.0,) if quick else (0.9999, 1.0)
    windows = ((100, 30),) if quick else ((100, 30), (200, 60))
    return [
        Contender("ours", "", ours),
        *(Contender("ADWIN", f"clock={clock}", adwin(clock)) for clock in ((32,) if quick else (1, 32))),
        *(
            Contender("PageHinkley", f"delta={delta}, alpha={alpha}", page_hinkley(delta, alpha))
            for delta in deltas
            for alpha in alphas
        ),
        *(
            Contender("KSWIN", f"window={window}, recent={recent}", kolmogorov_smirnov(window, recent))
            for window, recent in windows
        ),
    ]
