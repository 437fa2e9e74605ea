"""`apprentice store ...`: what is done to the store as a whole."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from activities.store.copying import Moved, copy_store
from activities.store.copying import Progress as Report
from activities.store.urls import parse_url, shown
from apprentice.config import load
from client.cli import options
from client.cli.counts import counted
from client.cli.output import note, print_json, show, stderr

store = typer.Typer(
    name="store", add_completion=False, no_args_is_help=True, help="Move the store to another database."
)


@store.callback()
def group() -> None:
    """Move the store to another database."""


@store.command()
def migrate(
    to: Annotated[
        str, typer.Option("--to", metavar="URL", help="An empty database: postgresql://... or sqlite:///...")
    ],
    json: options.Json = False,
    config: options.Config = options.DEFAULT_CONFIG,
) -> None:
    """Copy the store of the configuration into another, empty database. Stop all workers first.

    The copy is one transaction: whatever happens in the middle, the store stays as it was and the target empty, and
    the command can be run again. Every row is read back and compared. PGPASSWORD or ~/.pgpass can hold the password.
    """
    source, target = parse_url(load(config, os.environ).store.url), parse_url(to, "--to")
    began = time.monotonic()
    with _progress(not json) as report:
        moved = copy_store(source, target, report)
    seconds = time.monotonic() - began
    if json:
        print_json({"from": shown(source), "to": shown(target), "seconds": round(seconds, 3)} | _figures(moved))
        return
    rows = counted(sum(moved.rows.values()), "row")
    show(f"{rows} copied and compared in {seconds:.1f} s; {moved.settled} settled, {moved.unknown} in doubt")
    show(f"Now set store.url in {config} to the new store, and start the workers. The old one is as it was.")


def _figures(moved: Moved) -> dict[str, Any]:
    return {"rows": moved.rows, "settled": str(moved.settled), "unknown": str(moved.unknown)}


@contextmanager
def _progress(wanted: bool) -> Iterator[Report]:
    columns = TextColumn("{task.description:12}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    shown = wanted and stderr().is_terminal
    with Progress(*columns, console=stderr(), disable=not shown) as progress:
        bars: dict[str, Any] = {}

        def report(table: str, done: int, total: int) -> None:
            if table not in bars:
                bars[table] = progress.add_task(table, total=total)
            progress.update(bars[table], completed=done)
            if done == total and wanted and not shown:
                note(f"{table}: {counted(total, 'row')}")

        yield report
