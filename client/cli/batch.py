"""`apprentice batch`: a file of requests."""

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from client.apprentice import CONCURRENCY
from client.cli import options
from client.cli.batching import Batch, Tally
from client.cli.connecting import answered, connected
from client.cli.counts import counted
from client.cli.output import Failed, note, print_json, stderr
from client.cli.requests_file import RequestsFile
from client.cli.rows_file import RowsFile


def batch(
    task: options.Task,
    requests: Annotated[
        Path, typer.Argument(metavar="IN.jsonl", help='One request a line: {"input": {...}}, or the input itself.')
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="OUT.jsonl", help="One row a request.")],
    concurrency: Annotated[int, typer.Option(min=1, max=1000, help="Requests in flight.")] = CONCURRENCY,
    json: Annotated[bool, typer.Option("--json", help="Print the summary as one JSON document on stdout.")] = False,
    address: options.Address = None,
) -> None:
    """Answer a file of requests. The same command goes on where it was interrupted and tries again what failed."""
    if output.exists() and requests.exists() and os.path.samefile(requests, output):
        raise Failed("--output is the input file; choose another")
    lines = RequestsFile.open(task, requests)
    try:
        tally = asyncio.run(_answer(task, lines, output, concurrency, address))
    except KeyboardInterrupt:
        note(f"interrupted; the same command goes on from here ({output})")
        raise
    _summarise(tally, output)
    if json:
        print_json(_as_json(task, tally, output))
    if tally.failed:
        raise typer.Exit(1)


async def _answer(task: str, lines: RequestsFile, output: Path, concurrency: int, address: str | None) -> Tally:
    async with connected(address, task, concurrency=concurrency) as apprentice:
        await answered(apprentice.status(task))  # the task and a worker are there, before a file is made
        with RowsFile.open(output) as rows:
            batch = Batch(apprentice, task, lines, rows)
            with _progress(batch.tally) as update:
                await batch.run(concurrency, update)
            return batch.tally


@contextmanager
def _progress(tally: Tally) -> Iterator[Callable[[Tally], None]]:
    """A bar on a terminal, else nothing."""
    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("[red]{task.fields[failed]} failed"),
        TextColumn("[green]{task.fields[local]:.0%} local"),
        TextColumn("{task.fields[cost]:.4f} spent"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=stderr(), transient=True, disable=not stderr().is_terminal) as bar:
        line = bar.add_task("", total=tally.total, failed=0, local=0.0, cost=0)

        def update(tally: Tally) -> None:
            bar.update(line, completed=tally.done, failed=tally.failed, local=tally.local_share, cost=tally.cost)

        update(tally)
        yield update


def _summarise(tally: Tally, output: Path) -> None:
    kept = f" ({tally.kept:,} of them by an earlier run)" if tally.kept else ""
    note(
        f"{counted(tally.total, 'request')}: {tally.answered:,} answered{kept}, {tally.failed:,} failed; "
        f"{tally.local_share:.0%} local; cost {tally.cost.normalize():f}; rows in {output}"
    )
    for failure in tally.failures:
        note(f"  line {failure.line}: {failure.error}: {failure.message}")
    if tally.failed > len(tally.failures):
        note(f"  and {tally.failed - len(tally.failures):,} more; each has a row with its error")
    if tally.failed:
        note("the same command tries what failed again")


def _as_json(task: str, tally: Tally, output: Path) -> dict[str, Any]:
    return {
        "task": task,
        "requests": tally.total,
        "answered": tally.answered,
        "kept": tally.kept,
        "failed": tally.failed,
        "local_share": tally.local_share,
        "cost_usd": str(tally.cost),
        "output": str(output),
        "failures": [{"line": one.line, "error": one.error, "message": one.message} for one in tally.failures],
    }
