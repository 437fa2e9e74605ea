"""What remote calls buy: agreement for an allowance of calls, and calls for a promise on agreement.

    python -m benchmarks.savings [--seeds 5] [--rows N] [--only tickets,30%,served] [--jobs 2]

Recorded traffic goes through `apprentice.simulation`, as in `apprentice simulate`; the student is trained on nothing
but what was bought. A seed is an order of the rows and the coins.

Allowances of 10, 30 and 50% of the requests: agreement with the teacher of everything that is served, against three
ways to spend that know the same student, trained by the same schedule:

    random      each request is bought with the same probability
    front-load  the first are bought, then no more
    margin      at a steady rate, those of which the student is least sure

Without an allowance (`served`): the share of requests that were bought for the promise that everything served agrees
at 0.85, 0.90 or 0.95, and the share of the runs that kept it.
"""

import argparse
import json
import os
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import mean
from typing import Any

from activities.local.embedded.student import Student
from apprentice.accounting import Accounts
from apprentice.allowance.counting import CallBudget
from apprentice.allowance.spending import EXPLORED, Spending, threshold
from apprentice.evaluators import build
from apprentice.inference import infer_settings
from apprentice.settings import Price, QualitySettings, RemoteSettings, TaskSettings
from apprentice.simulation import Recorded, Simulation

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"  # beside the checkout
SETS = ("tickets", "bookings")
SHARES = (0.10, 0.30, 0.50)
TARGETS = (0.85, 0.90, 0.95)
START = datetime(2026, 1, 1, tzinfo=UTC)
OURS = "allowance"


class _Baseline(Spending):
    """Spends as it says, in place of the plan: `_plan` is asked when the plan would be."""

    def _set(self, budget: CallBudget, *, defer_below: float, rate: float) -> None:
        budget.state.planned = budget.state.seen
        budget.state.defer_below, budget.state.rate = defer_below, rate

    def _even(self, budget: CallBudget) -> float:
        """The steady rate: all calls over all requests."""
        return min(1.0, (budget.allowance.remote_calls or 0) / (budget.state.horizon or 1))


class Random(_Baseline):
    def _plan(self, budget: CallBudget, now: datetime) -> None:
        self._set(budget, defer_below=0.0, rate=self._even(budget))


class FrontLoad(_Baseline):
    def _plan(self, budget: CallBudget, now: datetime) -> None:
        self._set(budget, defer_below=0.0, rate=1.0)


class Margin(_Baseline):
    """With as many fair comparisons as ours has: without any, its versions would be judged on next to nothing."""

    def _plan(self, budget: CallBudget, now: datetime) -> None:
        even = self._even(budget)
        sure = budget.state.sure
        self._set(budget, defer_below=threshold(sure, even)[0] if sure else 0.0, rate=EXPLORED * even)


SPENDING: dict[str, Callable[[Accounts], Spending]] = {
    "random": Random,
    "front-load": FrontLoad,
    "margin": Margin,
    OURS: Spending,
}


@dataclass(frozen=True)
class Cell:
    """One run: a share of the requests to spend in some way, or a promise to keep."""

    data: str
    share: float | None
    way: str
    target: float | None
    seed: int
    rows: int | None
    folder: Path

    @property
    def names(self) -> set[str]:
        """What `--only` knows it by."""
        if self.share is not None:
            return {self.data, self.way, f"{self.share:.0%}", "allowances"}
        return {self.data, "served", f"{self.target}"}


@dataclass(frozen=True)
class Result:
    """Shares of the requests, and how long it took."""

    cell: Cell
    agreement: float
    bought: float
    failed: int
    fine_tunes: int
    seconds: float


def read(cell: Cell) -> list[Recorded]:
    """The recording in the seed's order."""
    lines = (cell.folder / f"{cell.data}.jsonl").read_text(encoding="utf-8").splitlines()
    random.Random(cell.seed).shuffle(lines)
    parsed = [json.loads(line) for line in lines[: cell.rows]]
    return [Recorded(f"{cell.data}-{n}", row["input"], row["output"]) for n, row in enumerate(parsed)]


def settings_for(cell: Cell, traffic: list[Recorded]) -> TaskSettings:
    """As `apprentice simulate` would infer them."""
    remote = RemoteSettings(provider="recorded", model="teacher", price=Price(), traffic="-")
    inputs, outputs = [row.input for row in traffic], [row.output for row in traffic]
    settings = infer_settings(cell.data, inputs, outputs, remote)
    if cell.target is None:
        return settings
    return settings.model_copy(update={"quality": QualitySettings(target=cell.target, scope="served")})


def run(cell: Cell) -> Result:
    """One simulation."""
    began = time.perf_counter()
    traffic = read(cell)
    settings = settings_for(cell, traffic)

    def train(inputs: list[dict[str, Any]], outputs: list[dict[str, Any]], version: int) -> Student:
        return Student.fit(inputs, outputs, settings.output_schema, seed=cell.seed + version)

    calls = None if cell.share is None else round(cell.share * len(traffic))
    coins = random.Random(cell.seed)
    simulation = Simulation(settings, train, build(settings), coins, START, max_remote_calls=calls)
    if cell.share is not None:
        simulation.brain.spending = SPENDING[cell.way](simulation.brain.accounts)
    for _ in simulation.run(traffic):
        pass
    forecast = simulation.forecast()
    served = forecast.requests - forecast.failed
    return Result(
        cell,
        agreement=(forecast.agreement or 0.0) * served / forecast.requests,  # no answer agrees with nothing
        bought=forecast.remote_calls / forecast.requests,
        failed=forecast.failed,
        fine_tunes=forecast.fine_tunes,
        seconds=time.perf_counter() - began,
    )


def cells(seeds: int, rows: int | None, folder: Path, only: set[str]) -> Iterator[Cell]:
    """All that `only` names: each of its words narrows them down, words of one kind widen each other."""
    everything = [
        Cell(data, share, way, None, seed, rows, folder)
        for seed in range(seeds)
        for share in SHARES
        for data in SETS
        for way in SPENDING
    ] + [
        Cell(data, None, "", target, seed, rows, folder) for seed in range(seeds) for target in TARGETS for data in SETS
    ]
    kinds = [
        set(SETS),
        set(SPENDING),
        {f"{s:.0%}" for s in SHARES} | {f"{t}" for t in TARGETS},
        {"served", "allowances"},
    ]
    wanted = [only & kind for kind in kinds if only & kind]
    return (cell for cell in everything if all(cell.names & words for words in wanted))


# --- what comes out --------------------------------------------------------------------------------------------


def allowances(results: list[Result]) -> Iterator[str]:
    """One line a cell: mean agreement of each way, and what ours gains on the best of the others."""
    found: defaultdict[tuple[str, float], defaultdict[str, list[Result]]] = defaultdict(lambda: defaultdict(list))
    for result in results:
        if result.cell.share is not None:
            found[result.cell.data, result.cell.share][result.cell.way].append(result)
    if not found:
        return
    yield "\n| data | allowance | " + " | ".join(SPENDING) + " | gain | spent | better in | s a run |"
    yield "| --- |" + " --- |" * (len(SPENDING) + 5)
    for (data, share), ways in sorted(found.items()):
        means = {way: mean(one.agreement for one in ways[way]) if ways[way] else None for way in SPENDING}
        others = [value for way, value in means.items() if way != OURS and value is not None]
        ours = means[OURS]
        gain = f"{ours - max(others):+.4f}" if ours is not None and others else ""
        figures = " | ".join("" if value is None else f"{value:.4f}" for value in means.values())
        spent = f"{mean(one.bought for one in ways[OURS]):.1%}" if ways[OURS] else ""
        seconds = mean(one.seconds for runs in ways.values() for one in runs)
        yield f"| {data} | {share:.0%} | {figures} | {gain} | {spent} | {_better(ways)} | {seconds:.0f} |"


def _better(ways: defaultdict[str, list[Result]]) -> str:
    """In how many of the seeds ours is at least as good as each of the others."""
    agreed = {way: {one.cell.seed: one.agreement for one in runs} for way, runs in ways.items()}
    ours = agreed.pop(OURS, {})
    best = {seed: max((runs[seed] for runs in agreed.values() if seed in runs), default=0.0) for seed in ours}
    return f"{sum(ours[seed] >= best[seed] for seed in ours)} of {len(ours)}"


def promises(results: list[Result]) -> Iterator[str]:
    """One line a promise."""
    found: defaultdict[tuple[str, float], list[Result]] = defaultdict(list)
    for result in results:
        if result.cell.target is not None:
            found[result.cell.data, result.cell.target].append(result)
    if not found:
        return
    yield "\n| data | everything served at | remote calls | agreement | lowest | kept by | s a run |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for (data, target), runs in sorted(found.items()):
        agreed = [one.agreement for one in runs]
        kept = sum(value >= target for value in agreed)
        yield (
            f"| {data} | {target:.2f} | {mean(one.bought for one in runs):.1%} | {mean(agreed):.4f} "
            f"| {min(agreed):.4f} | {kept} of {len(runs)} | {mean(one.seconds for one in runs):.0f} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA, help="folder of tickets.jsonl and bookings.jsonl")
    parser.add_argument("--seeds", type=int, default=5, help="orders of the rows")
    parser.add_argument("--rows", type=int, help="of each recording, the first so many of the order; default all")
    parser.add_argument("--only", default="", help="words: a data set, a way, 10%%, 0.85, allowances, served")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="runs at the same time")
    arguments = parser.parse_args()
    # Each run has a core to itself: the libraries' own threads would only get into each other's way.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    wanted = list(
        cells(arguments.seeds, arguments.rows, arguments.data, {word for word in arguments.only.split(",") if word})
    )
    results: list[Result] = []
    began = time.perf_counter()
    with ProcessPoolExecutor(arguments.jobs) as pool:
        for result in pool.map(run, wanted):
            results.append(result)
            cell = result.cell
            what = f"{cell.share:.0%} {cell.way}" if cell.share is not None else f"served at {cell.target}"
            print(
                f"{cell.data} {what}, seed {cell.seed}: agreement {result.agreement:.4f}, bought {result.bought:.1%}, "
                f"{result.failed} failed, {result.fine_tunes} fine-tunes, {result.seconds:.0f} s",
                flush=True,
            )
    print("\n".join([*allowances(results), *promises(results)]))
    print(f"\n{len(results)} runs in {time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
