"""`apprentice feedback`: people say what was right, of an answer, of a file of them, or of a fair sample."""

import asyncio
import random
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from apprentice.messages import Label, Source, Verdict
from apprentice.settings import Config
from client.cli import options
from client.cli.configured import with_task
from client.cli.connecting import answered, connected, hinting
from client.cli.counts import counted
from client.cli.labels_file import read_labels, write_sample
from client.cli.output import PROBLEMS_SHOWN, Failed, note, note_problems, print_json, show
from client.cli.run import read_input
from client.labels import label_of

if TYPE_CHECKING:
    from activities.store import Drawn

# A hundred labels, each scored by a model perhaps.
PATIENCE_SECONDS = 300.0


class Of(StrEnum):
    """Whose answers a sample is drawn from."""

    TEACHER = "teacher"
    LOCAL = "local"


def feedback(
    task: options.Task,
    request_id: Annotated[str | None, typer.Argument(metavar="[REQUEST_ID]", help="Of the request.")] = None,
    correct: Annotated[
        str | None, typer.Option(metavar="JSON|@FILE|-", help="The output that would have been right.")
    ] = None,
    right: Annotated[bool, typer.Option("--right", help="The answer that was served is right.")] = False,
    wrong: Annotated[bool, typer.Option("--wrong", help="It is wrong, and what is right is not said.")] = False,
    file: Annotated[
        Path | None,
        typer.Option(
            "--from", metavar="FILE.jsonl", help='{"request_id", "output"} or {"request_id", "right"} a line.'
        ),
    ] = None,
    sample: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Draw N answered requests at random, to be labelled.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE.jsonl", help="Where the sample goes.")
    ] = None,
    of: Annotated[Of, typer.Option(help="Sample what the teacher answered, or the local model alone.")] = Of.TEACHER,
    config: options.Config = options.DEFAULT_CONFIG,
    json: options.Json = False,
    address: options.Address = None,
) -> None:
    """Say what was right. A label corrects the example of its input, and tells how right the models are.

    People label what they find wrong, which says nothing about all the rest: --sample draws requests at random from the
    store of the configuration. Fill in `right` or `output` in the file and give it back with --from. Only these
    labels enter the estimates of `status` and `report`; all others are counted apart. Said again, the later word holds.
    """
    _one_way(request_id, correct, right, wrong, file, sample, output)
    if sample is not None and output is not None:
        _sample(with_task(config, task), task, sample, of, output, json)
    elif file is not None:
        _from_file(task, file, address, json)
    else:
        said = read_input(correct, "--correct") if correct is not None else None
        _one(task, label_of(request_id or "", said, None if said is not None else right), address, json)


def _one_way(
    request_id: str | None,
    correct: str | None,
    right: bool,
    wrong: bool,
    file: Path | None,
    sample: int | None,
    output: Path | None,
) -> None:
    """Raises `Failed` (2) unless exactly one thing is asked for."""
    said = sum([correct is not None, right, wrong])
    if sum([request_id is not None, file is not None, sample is not None]) != 1:
        raise Failed("give one of REQUEST_ID, --from FILE.jsonl, --sample N")
    if said != (request_id is not None):
        raise Failed("give one of --correct, --right, --wrong, with a REQUEST_ID")
    if (sample is None) != (output is None):
        raise Failed("--sample N and --output FILE.jsonl go together")


def _one(task: str, label: Label, address: str | None, json: bool) -> None:
    async def send() -> Verdict:
        async with connected(address, task) as apprentice, hinting():
            said = apprentice.feedback(task, label.request_id, output=label.output, right=label.right)
            return await answered(said, PATIENCE_SECONDS)

    verdict = asyncio.run(send())
    if json:
        print_json(verdict.model_dump(mode="json"))
    else:
        show(f"{task}: {label.request_id} is labelled; {in_words(verdict)}")


def in_words(verdict: Verdict) -> str:
    """How the answers compare with the label, in a sentence."""
    names = (("the teacher", verdict.teacher), ("the local model", verdict.local))
    scored = [f"{who} scored {score:.2f}" for who, score in names if score is not None]
    example = ["its example teaches this from now on"] if verdict.corrected else []
    return ", ".join([*scored, *example]) or "neither model's answer can be compared with it"


def _from_file(task: str, path: Path, address: str | None, json: bool) -> None:
    labels = read_labels(path)
    numbers, given = list(labels.given), list(labels.given.values())

    async def send() -> list[Verdict]:
        async with connected(address, task) as apprentice, hinting():
            await answered(apprentice.status(task))  # the task and a worker are there
            return await apprentice.feedback_all(task, given)

    verdicts = asyncio.run(send()) if given else []
    refused = [(line, one) for line, one in zip(numbers, verdicts, strict=True) if one.error is not None]
    problems = [*labels.problems, *(f"line {line}: {one.message}" for line, one in refused)]
    taken = len(verdicts) - len(refused)
    corrected = sum(one.corrected for one in verdicts)
    if json:
        counts = {"labelled": taken, "corrected": corrected, "empty": labels.empty, "refused": len(problems)}
        print_json({"task": task} | counts | {"problems": problems[:PROBLEMS_SHOWN]})
    else:
        show(f"{task}: {taken:,} labelled, {counted(corrected, 'example')} corrected, {labels.empty:,} without a label")
        note_problems(problems)
    if problems:
        raise typer.Exit(1)


def _sample(config: Config, task: str, count: int, of: Of, output: Path, json: bool) -> None:
    if output.exists():
        raise Failed(f"--output {output} is there already, perhaps with labels in it; choose another name")
    drawn = asyncio.run(_draw(config, task, count, of))
    written = write_sample(output, drawn)
    unknown = sum(one.input is None for one in drawn)
    if json:
        print_json({"task": task, "drawn": written, "without_input": unknown, "output": str(output)})
        return
    show(f"{task}: {counted(written, 'request')} in {output}; fill in `right` or `output`, then")
    show(f"  apprentice feedback {task} --from {output}")
    if written < count:
        note(f"there are no more that {'the teacher' if of is Of.TEACHER else 'the local model alone'} answered")
    if unknown:
        requests = counted(unknown, "request")
        note(f"the input of {requests} is not kept, as the local model answered: look it up by `request_id`")


async def _draw(config: Config, task: str, count: int, of: Of) -> list["Drawn"]:
    # Only the commands that read the store load it.
    from activities.store import Store
    from apprentice.orders import known_version

    source, settings = Source.REMOTE if of is Of.TEACHER else Source.LOCAL, config.task(task)
    async with await Store.open(config.store.url) as store:
        version = known_version(settings, await store.settings.all(task))
        return await store.feedback.draw(task, version, source, count, random.Random(), datetime.now(UTC))
