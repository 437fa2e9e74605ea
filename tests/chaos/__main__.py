"""`make chaos ARGS="--seed 7 --faults 200 --store sqlite"`: break everything, then look into the books.

The plan of faults follows from the seed, which is printed; when exactly a fault finds which request does not. Exit code
1 if a promise was broken. The folder of the run (logs, stores, Temporal's file) is kept then, or with `--keep FOLDER`.
"""

import argparse
import asyncio
import random
import shutil
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from client.cli.core_log import forward_core_log
from tests.chaos.report import show
from tests.chaos.run import Plan, run
from workers.leaving import leave


def main() -> int:
    """Exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description="Break everything, audit the books.")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10_000))
    parser.add_argument("--faults", type=int, default=200)
    parser.add_argument("--store", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--callers", type=int, default=12)
    parser.add_argument("--gap", type=float, default=2.5, help="mean seconds between the faults of one kind")
    parser.add_argument("--events-a-run", type=int, help="roll over more often than every 10,000 events")
    parser.add_argument("--idempotent", action="store_true", help="a provider that bills a repeated key once")
    parser.add_argument("--json", type=Path, help="write the report here too")
    parser.add_argument("--keep", type=Path, help="the folder of the run; it is left behind")
    options = parser.parse_args()
    plan = Plan(
        seed=options.seed,
        faults=options.faults,
        store=options.store,
        callers=options.callers,
        gap=options.gap,
        events_a_run=options.events_a_run,
        idempotent=options.idempotent,
    )
    folder = options.keep or Path(tempfile.mkdtemp(prefix="apprentice-chaos-"))
    folder.mkdir(parents=True, exist_ok=True)
    console = Console()
    forward_core_log()
    console.print(f"seed {plan.seed}, {plan.faults} faults, {plan.store}, in {folder}", highlight=False)
    report = asyncio.run(run(plan, folder.resolve(), lambda words: console.print(words, highlight=False)))
    show(report, console)
    if options.json:
        options.json.write_text(report.model_dump_json(indent=1))
    if not report.violations and not options.keep:
        shutil.rmtree(folder)
    return bool(report.violations)


if __name__ == "__main__":
    sys.stdout.flush()
    leave(main())
