"""`apprentice backfill`: a file of inputs to learn from, before anyone asks."""

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import typer

from apprentice import batching, prices
from apprentice.datasets import input_hash
from apprentice.messages import Backfilled, TaskRequest
from apprentice.schema import SchemaError, compile_schema
from apprentice.settings import TaskSettings
from client import Apprentice
from client.apprentice import CONCURRENCY
from client.cli import options
from client.cli.configured import with_task
from client.cli.confirming import confirm
from client.cli.connecting import answered, connected
from client.cli.counts import counted
from client.cli.output import PROBLEMS_SHOWN, note, note_problems, print_json, show
from client.cli.requests_file import RequestsFile
from client.cli.run import new_attempt
from client.errors import BudgetExhausted, RequestFailed

ID = "backfill"


def backfill(
    task: options.Task,
    inputs: Annotated[
        Path, typer.Argument(metavar="INPUTS.jsonl", help='One input a line: {"input": {...}}, or the input itself.')
    ],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    config: options.Config = options.DEFAULT_CONFIG,
    json: options.Json = False,
    address: options.Address = None,
) -> None:
    """Have inputs answered by the remote model, for training only. Tells what it may cost first.

    With `remote.batch` they go through the provider's batch API at its discount: the answers come within a day. Without
    it they are asked at once, as ordinary requests, at the full price. An input that is an example is not asked again.
    """
    settings = with_task(config, task).task(task)
    rows, problems = _read(settings, inputs)
    bound = sum((_bound(settings, row) for row in rows), Decimal(0))
    _tell(settings, rows, problems, bound)
    if not yes:
        nobody = "nobody is here to confirm what it may cost; `--yes` says so"
        confirm(f"Have them answered for {task}?", nobody, "nothing was asked")
    taken = asyncio.run(_backfill(settings, rows, address))
    if json:
        print_json(_as_json(settings, taken, problems, bound))
    else:
        _summarise(settings, taken)
    if taken.refused or problems:
        raise typer.Exit(1)


def _read(settings: TaskSettings, path: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """The inputs that the task can take, each once, and what is wrong with the other lines."""
    schema = compile_schema(settings.input_schema, settings.name)
    rows: dict[str, dict[str, Any]] = {}
    problems = []
    for line in RequestsFile.open(settings.name, path):
        if line.input is None:
            problems.append(f"line {line.number}: {line.problem}")
            continue
        try:
            schema.validate(line.input)
        except SchemaError as error:
            problems.append(f"line {line.number}: {error}")
            continue
        rows.setdefault(input_hash(line.input), line.input)
    return list(rows.values()), problems


def _bound(settings: TaskSettings, input: dict[str, Any]) -> Decimal:
    if not settings.remote.batch:
        return prices.reservation(settings, input)
    return batching.bound(settings, TaskRequest(request_id=ID, task=settings.name, input=input))


def _tell(settings: TaskSettings, rows: list[dict[str, Any]], problems: list[str], bound: Decimal) -> None:
    how = (
        "in batches, at their discount; the answers come within a day"
        if settings.remote.batch
        else "at once, at the full price (`remote.batch: true` asks for the discount of batches)"
    )
    most = f"at most {bound.normalize():f} {settings.budget.currency}, within the caps"
    asked = f"{counted(len(rows), 'different input')} for {settings.remote.provider} {settings.remote.model}"
    note(f"{asked}: {most}; {how}")
    note_problems(problems)


async def _backfill(settings: TaskSettings, rows: list[dict[str, Any]], address: str | None) -> Backfilled:
    async with connected(address, settings.name) as apprentice:
        await answered(apprentice.status(settings.name))  # the task and a worker are there
        if settings.remote.batch:
            return await apprentice.backfill(settings.name, rows)
        return await _at_once(apprentice, settings, rows)


async def _at_once(apprentice: Apprentice, settings: TaskSettings, rows: list[dict[str, Any]]) -> Backfilled:
    """As ordinary requests, which the task answers as it answers any."""
    slots = asyncio.Semaphore(CONCURRENCY)
    attempt = new_attempt()  # of the store it is asked whether it is known, not of the run of the workflow

    async def one(input: dict[str, Any]) -> Backfilled:
        request_id = f"{ID}-{settings.schema_version}-{input_hash(input)[:32]}"
        async with slots:
            try:
                result = await apprentice.run(settings.name, input, request_id=request_id, attempt=attempt)
            except (BudgetExhausted, RequestFailed) as error:
                return Backfilled(refused=1, why=str(error))
        return Backfilled(known=1) if result.trace.replayed or result.trace.copied else Backfilled(queued=1)

    done = await asyncio.gather(*map(one, rows))
    return Backfilled(
        queued=sum(one.queued for one in done),
        known=sum(one.known for one in done),
        refused=sum(one.refused for one in done),
        why=next((one.why for one in done if one.why), ""),
    )


def _summarise(settings: TaskSettings, taken: Backfilled) -> None:
    done = "queued" if settings.remote.batch else "answered"
    show(f"{taken.queued:,} {done}, {taken.known:,} known before, {taken.refused:,} refused")
    if taken.refused:
        note(f"  {taken.why}; the same command goes on from here")
    if taken.queued and settings.remote.batch:
        note(f"`apprentice status {settings.name}` tells how far they are")


def _as_json(settings: TaskSettings, taken: Backfilled, problems: list[str], bound: Decimal) -> dict[str, Any]:
    return {
        "task": settings.name,
        "batch": settings.remote.batch,
        "at_most": str(bound),
        "currency": settings.budget.currency,
        **taken.model_dump(),
        "problems": problems[:PROBLEMS_SHOWN],
        "unusable_lines": len(problems),
    }
