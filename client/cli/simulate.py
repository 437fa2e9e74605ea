"""`apprentice simulate`: what recorded traffic would have cost, and at what quality; no server, nothing is paid."""

import random
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from activities.local.embedded.student import Student
from activities.training.embedded_job import scores
from apprentice.course import CourseTally
from apprentice.evaluators import EvaluatorError, build
from apprentice.messages import Source
from apprentice.settings import TaskSettings
from apprentice.simulation import Recorded, SimulatedRequest, Simulation
from client.cli import figures, options, overrides
from client.cli.counts import counted
from client.cli.course_view import course_lines
from client.cli.output import Failed, note, print_json, show, stderr, stdout
from client.cli.rows import answered_row, failed_row
from client.cli.simulate_plot import Drawing, Plot
from client.cli.traffic import checked, inferred, read_traffic

START = datetime(2026, 1, 1, tzinfo=UTC)
REDRAW_EVERY = 20


def simulate(
    task: options.Task,
    traffic: Annotated[
        Path | None, typer.Argument(metavar="TRAFFIC.jsonl", help='Rows of {"input": {...}, "output": {...}}.')
    ] = None,
    from_journal: Annotated[
        bool,
        typer.Option(
            "--from-journal", help="In place of TRAFFIC: the requests that the store remembers, under other settings."
        ),
    ] = False,
    set_: overrides.Set = None,
    plot: Plot = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="OUT.jsonl", help="One row a request: who answered, what.")
    ] = None,
    max_remote_calls: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="An allowance for all of it, spent where it does most good.")
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Of the spot checks and of training.")] = 0,
    interval: Annotated[
        float, typer.Option(metavar="SECONDS", min=0, help="Between requests: when daily caps begin anew.")
    ] = 1.0,
    json: options.Json = False,
    config: options.Config = options.DEFAULT_CONFIG,
) -> None:
    """Forecast savings and quality from recorded traffic: the real rules, a really trained local model, no server.

    Without the task in apprentice.yaml, its schemas are inferred from the traffic.
    """
    changes = overrides.changes_of(set_)
    if from_journal:
        from client.cli import journal  # only who reads the store loads it

        only_traffic = {"--output": output, "--plot": plot, "--max-remote-calls": max_remote_calls}
        journal.answer(task, traffic, only_traffic, changes, config, seed=seed, json=json)
        return
    if traffic is None:
        raise Failed("name the recorded TRAFFIC.jsonl, or use --from-journal for what the store remembers")
    drawing = Drawing.to(plot)
    rows = read_traffic(task, traffic)
    settings = overrides.with_changes(task, config, changes)
    settings = settings or overrides.inferred_with(_inferred(task, traffic, rows), changes)
    if settings.local.backend != "embedded":
        note(f"the embedded model stands in for {settings.local.backend}, whose own quality only real requests show")
    requests = checked(traffic, rows, settings)
    simulation = _simulation(settings, seed, interval, max_remote_calls)
    tally = CourseTally(len(requests))
    began = time.monotonic()
    with _writing(output, traffic) as write, _progress(len(requests), not json) as shown:
        for line, served in zip(rows, shown(simulation.run(requests)), strict=True):
            write(line, served)
            tally.add(
                phase=served.phase,
                local=served.served_by is Source.LOCAL,
                agreement=served.agreement,
                cost=served.cost,
                remote_cost=served.remote_cost,
            )
    course = tally.course(settings.budget.currency)
    if drawing:
        drawing.draw(course, f"{task}: {counted(len(requests), 'recorded request')}, as they would have gone")
    forecast, seconds = simulation.forecast(), time.monotonic() - began
    if json:
        print_json(figures.as_json(forecast, seconds))
    else:
        show(Text(f"{task}: {counted(len(requests), 'recorded request')}, as they would have gone", style="bold"))
        show(figures.table(forecast))
        for chart_line in course_lines(course, width=stdout().width, encoding=stdout().encoding):
            show(chart_line)
    if forecast.failed:
        unanswered = counted(forecast.failed, "request")
        raise Failed(f"{unanswered} got no answer: no remote call was left and no local model", 1)


def _inferred(task: str, file: Path, rows: dict[int, Recorded]) -> TaskSettings:
    settings = inferred(task, file, rows)
    note(
        f"no configuration for {task!r}: schemas inferred from {counted(len(rows), 'row')}, "
        f"compared by {settings.evaluator}, priced as {settings.remote.model}"
    )
    return settings


def _simulation(settings: TaskSettings, seed: int, interval: float, max_remote_calls: int | None) -> Simulation:
    def train(inputs: list[dict[str, Any]], outputs: list[dict[str, Any]], version: int) -> Student:
        sentences = settings.local.base_model if settings.local.backend == "embedded" else None
        return Student.fit(inputs, outputs, settings.output_schema, seed + version, scores(settings), sentences)

    try:
        return Simulation(
            settings,
            train,
            build(settings),
            random.Random(seed),
            START,
            seconds_between_requests=interval,
            max_remote_calls=max_remote_calls,
        )
    except EvaluatorError as error:
        raise Failed(str(error)) from None


# --- what comes out --------------------------------------------------------------------------------------------


def row_of(line: int, served: SimulatedRequest) -> bytes:
    """A row of `--output`; `line` is the request's in the traffic."""
    if served.output is None or served.served_by is None:
        return failed_row(served.request_id, line, served.error or "", "no remote call is left, and no local model")
    return answered_row(served.request_id, served.output, served.served_by, degraded=served.degraded, cost=served.cost)


@contextmanager
def _writing(output: Path | None, traffic: Path) -> Iterator[Callable[[int, SimulatedRequest], object]]:
    """The file appears under its name when it is whole. Raises `Failed` if it cannot be written."""
    if output is None:
        yield lambda line, served: None
        return
    if output.resolve() == traffic.resolve():
        raise Failed(f"--output: {output} is the traffic itself; choose another file")
    draft = output.with_name(f".{output.name}.partial")
    try:
        with draft.open("wb") as file:
            yield lambda line, served: file.write(row_of(line, served))
        draft.replace(output)
    except OSError as error:
        raise Failed(f"cannot write {output}: {error.strerror}") from None
    finally:
        draft.unlink(missing_ok=True)


class _Shown:
    """Passes requests on, and moves the bar."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress = progress
        self._bar = progress.add_task("simulating", total=total)

    def __call__(self, served: Iterable[SimulatedRequest]) -> Iterator[SimulatedRequest]:
        for number, one in enumerate(served, start=1):
            if number % REDRAW_EVERY == 0:
                self._progress.update(self._bar, completed=number)
            yield one


@contextmanager
def _progress(total: int, wanted: bool) -> Iterator[_Shown]:
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    disabled = not (wanted and stderr().is_terminal)
    with Progress(*columns, console=stderr(), transient=True, disable=disabled) as progress:
        yield _Shown(progress, total)
