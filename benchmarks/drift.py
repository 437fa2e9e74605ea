"""How soon a fall in agreement is seen, beside the detectors of `river`, at equal false alarms.

    python -m benchmarks.drift [--seed 1] [--runs 60] [--data tickets.jsonl] [--figure drift.svg] [--json drift.json]

Each detector, with each of its settings, sees the same streams of scores. Its sensitivity is set so that the share of
stationary streams in which it alarms is what one false alarm per 10,000 comparisons gives; then the delay, in
comparisons (that is, remote calls), is measured from the change on. A miss counts as the length of the stream. Of a
rival its best setting is shown. Two tables: with a sensitivity for each level, which nobody can set in production (the
level is not known before), and with one for all levels, the strictest. With `--data`, the scores are also those of a
student that was really trained, whose inputs change.
"""

import argparse
import json
import math
import random
import statistics
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from benchmarks.drift_detectors import Contender, contenders, remember_p_values
from benchmarks.drift_student import TaughtStudent, inputs_table

KINDS = ("sudden", "gradual")
RATE = 1e-4
BEFORE, AFTER = 1000, 2000
SHARE = 1.0 - math.exp(-RATE * (BEFORE + AFTER))
"""Of stationary streams of that length with an alarm, at that rate."""

type Draw = Callable[[random.Random, int], float]


class Change(NamedTuple):
    """What follows `BEFORE` stationary scores: the fall begins then and is complete `over` scores later."""

    name: str
    kind: str
    draw: Draw


class Level(NamedTuple):
    """Scores as they were, and the ways in which they change. A draw takes the score's place after the change."""

    name: str
    usual: Draw
    changes: list[Change]


def bernoulli(mean: float) -> Callable[[random.Random], float]:
    return lambda rng: float(rng.random() < mean)


def fractional(mean: float) -> Callable[[random.Random], float]:
    """A share of five fields that agree."""
    return lambda rng: sum(rng.random() < mean for _ in range(5)) / 5


def synthetic(name: str, of: Callable[[float], Callable[[random.Random], float]], mean: float) -> Level:
    def fallen(drop: float, over: int) -> Draw:
        return lambda rng, place: of(mean - drop * min(1.0, (place + 1) / over))(rng)

    sudden = [Change(f"-{round(100 * drop)}", "sudden", fallen(drop, 1)) for drop in (0.05, 0.1, 0.2, 0.4)]
    gradual = [Change(f"-20 in {over}", "gradual", fallen(0.2, over)) for over in (500, 2000)]
    return Level(f"{name} {mean}", lambda rng, place: of(mean)(rng), sudden + gradual)


class Streams(NamedTuple):
    """The scores of one level that all detectors see."""

    level: Level
    stationary: list[list[float]]
    changed: dict[str, list[list[float]]]

    @classmethod
    def of(cls, level: Level, runs: int, seed: int) -> "Streams":
        rng = random.Random(f"{seed} {level.name}")
        usual = [[level.usual(rng, 0) for _ in range(BEFORE + AFTER)] for _ in range(runs)]
        changed = {
            change.name: [
                [level.usual(rng, 0) for _ in range(BEFORE)] + [change.draw(rng, place) for place in range(AFTER)]
                for _ in range(runs // 2)
            ]
            for change in level.changes
        }
        return cls(level, usual, changed)


def sensitivity(contender: Contender, streams: Streams) -> float:
    """The level of its statistic that as many stationary streams pass as may."""
    highest = sorted((max(contender.trace(scores)) for scores in streams.stationary), reverse=True)
    allowed = round(SHARE * len(highest))
    # Just above the highest that may not alarm; of ties none may.
    return math.nextafter(highest[allowed], math.inf)


class Delays(NamedTuple):
    """Of one contender on one change: comparisons until the alarm, misses as the longest, of streams not alarmed
    before.
    """

    found: list[int]
    missed: int

    @property
    def mean(self) -> float:
        return statistics.fmean(self.found) if self.found else float(AFTER)


def delays(contender: Contender, streams: list[list[float]], alarms: list[float]) -> list[Delays]:
    """For each of the sensitivities `alarms`, from one pass over the streams."""
    places: list[list[int]] = [[] for _ in alarms]
    for scores in streams:
        left = set(range(len(alarms)))
        for place, value in enumerate(contender.trace(scores)):
            for one in [one for one in left if value >= alarms[one]]:
                left.discard(one)
                if place >= BEFORE:
                    places[one].append(place - BEFORE + 1)
            if not left:
                break
        for one in left:
            places[one].append(AFTER + 1)
    return [Delays([min(p, AFTER) for p in found], sum(p > AFTER for p in found)) for found in places]


type Results = dict[Contender, dict[str, dict[str, Delays]]]
"""By contender, level and change."""


def measure(every: list[Streams], detectors: list[Contender], console: Console) -> tuple[Results, Results]:
    """With a sensitivity for each level, and with one for all."""
    own: Results = {}
    common: Results = {}
    with console.status("measuring"):
        for contender in detectors:
            alarms = [sensitivity(contender, streams) for streams in every]
            own[contender], common[contender] = {}, {}
            for streams, alarm in zip(every, alarms, strict=True):
                pairs = {
                    name: delays(contender, scores, [alarm, max(alarms)]) for name, scores in streams.changed.items()
                }
                own[contender][streams.level.name] = {name: pair[0] for name, pair in pairs.items()}
                common[contender][streams.level.name] = {name: pair[1] for name, pair in pairs.items()}
    return own, common


def best(levels: list[Level], results: Results) -> dict[str, Contender]:
    """Of each detector the setting with the shortest delays on these levels, sudden and gradual counting alike.

    Delays by their geometric mean, so that each size of change counts alike.
    """

    def cost(contender: Contender) -> float:
        both = [[d for level in levels for d in _means_of(level, results[contender], kind)] for kind in KINDS]
        return math.prod(statistics.geometric_mean(one) for one in both)

    names = dict.fromkeys(contender.name for contender in results)
    return {name: min((one for one in results if one.name == name), key=cost) for name in names}


def table(level: Level, results: Results) -> Table:
    """Rows: detectors at their best setting. Columns: changes, and the two means."""
    shown = Table(title=f"{level.name}: comparisons until the alarm, sensitivity set at this level")
    for name in ("detector", *(change.name for change in level.changes), "sudden", "gradual"):
        shown.add_column(name, justify="left" if name == "detector" else "right")
    for contender in best([level], results).values():
        cells = [_cell(results[contender][level.name][change.name]) for change in level.changes]
        shown.add_row(str(contender), *cells, *_means([level], [contender], results))
    return shown


def table_of_all(levels: list[Level], own: Results, common: Results) -> Table:
    """A sensitivity for each level with each level's best setting, and one of both for all levels."""
    shown = Table(title="All levels: geometric mean of the delays")
    for name in ("detector", "set at each level: sudden", "gradual", "one for all: sudden", "gradual", "setting"):
        shown.add_column(name, justify="right" if name not in ("detector", "setting") else "left")
    each = [best([level], own) for level in levels]
    for name, contender in best(levels, common).items():
        means = _means(levels, [one[name] for one in each], own)
        shown.add_row(name, *means, *_means(levels, [contender] * len(levels), common), contender.setting)
    return shown


def _means(levels: list[Level], chosen: list[Contender], results: Results) -> list[str]:
    """Sudden and gradual, over levels that each have a contender of their own."""
    pairs = list(zip(levels, chosen, strict=True))
    return [
        f"{statistics.geometric_mean([d for level, one in pairs for d in _means_of(level, results[one], kind)]):.0f}"
        for kind in KINDS
    ]


def _means_of(level: Level, results: dict[str, dict[str, Delays]], kind: str) -> list[float]:
    return [max(results[level.name][change.name].mean, 1.0) for change in level.changes if change.kind == kind]


def _cell(delays: Delays) -> str:
    missed = f" ({delays.missed} missed)" if delays.missed else ""
    return f"{delays.mean:.0f}{missed}"


def levels_of(student: TaughtStudent | None) -> list[Level]:
    levels = [synthetic("0/1", bernoulli, 0.95), synthetic("0/1", bernoulli, 0.8), synthetic("fifths", fractional, 0.9)]
    if student:

        def draw(seen: list[float]) -> Draw:
            return lambda rng, place: rng.choice(seen)

        usual, mix, words = ([one.score for one in part] for part in (student.usual, student.mix, student.vocabulary))

        def slowly(rng: random.Random, place: int) -> float:
            return rng.choice(mix if rng.random() < place / 1000 else usual)

        changes = [
            Change("class mix", "sudden", draw(mix)),
            Change("words", "sudden", draw(words)),
            Change("mix in 1000", "gradual", slowly),
        ]
        levels.append(Level("student", draw(usual), changes))
    return levels


def figure(file: Path, levels: list[Level], own: Results) -> None:
    """Mean delay of each detector, by change, one panel a level."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    _, axes = pyplot.subplots(1, len(levels), figsize=(4 * len(levels), 3.5), squeeze=False)
    for axis, level in zip(axes[0], levels, strict=True):
        for name, contender in best([level], own).items():
            names = [change.name for change in level.changes]
            axis.plot(names, [own[contender][level.name][change].mean for change in names], "o-", label=name)
        axis.set(title=level.name, yscale="log", ylabel="comparisons until the alarm")
        axis.tick_params(axis="x", rotation=45)
    axes[0][0].legend()
    pyplot.tight_layout()
    pyplot.savefig(file)


def as_json(levels: list[Level], results: Results) -> list[dict[str, object]]:
    return [
        {
            "detector": contender.name,
            "setting": contender.setting,
            "level": level.name,
            "change": change.name,
            "delay": one.mean,
            "missed": one.missed,
            "runs": len(one.found),
        }
        for contender in results
        for level in levels
        for change in level.changes
        for one in [results[contender][level.name][change.name]]
    ]


def stated(every: list[Streams]) -> Table:
    """What the rate that `Watch` states is worth, since it learns the level from the stream."""
    shown = Table(title=f"Ours as shipped, stated: 1 false alarm per {1 / RATE:,.0f} comparisons")
    for column in ("level", "streams with a false alarm", "if the statement is exact, at most"):
        shown.add_column(column)
    (ours,) = islice(contenders(True), 1)
    for streams in every:
        alarmed = sum(max(ours.trace(scores)) >= -math.log(RATE) for scores in streams.stationary)
        runs = len(streams.stationary)
        shown.add_row(
            streams.level.name, f"{alarmed} of {runs} ({alarmed / runs:.0%})", f"{RATE * (BEFORE + AFTER):.0%}"
        )
    return shown


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--runs", type=int, default=60, help="stationary streams a level; half as many of each change")
    parser.add_argument("--data", type=Path, help='JSONL of {"input", "output"} rows')
    parser.add_argument("--figure", type=Path, help="a chart of the delays: FILE.svg")
    parser.add_argument("--json", type=Path, help="every detector, setting and change: FILE.json")
    parser.add_argument("--quick", action="store_true", help="few settings of the rivals")
    arguments = parser.parse_args()
    console = Console(width=150)
    remember_p_values()
    student = TaughtStudent.of(arguments.data, arguments.seed) if arguments.data else None
    levels = levels_of(student)
    every = [Streams.of(level, arguments.runs, arguments.seed) for level in levels]
    own, common = measure(every, contenders(arguments.quick), console)
    for level in levels:
        console.print(table(level, own))
    console.print(table_of_all(levels, own, common))
    console.print(stated(every))
    if student:
        console.print(inputs_table(student, arguments.runs, arguments.seed))
    if arguments.figure:
        figure(arguments.figure, levels, own)
    if arguments.json:
        text = json.dumps({"own": as_json(levels, own), "common": as_json(levels, common)}, indent=1)
        arguments.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
