"""`apprentice run`: one request."""

import asyncio
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from apprentice.messages import TaskResult
from client.cli import options
from client.cli.connecting import connected, hinting
from client.cli.output import Failed, print_json
from client.cli.strict_json import JsonError, parse_object

LONGEST_ID = 200


def run(
    task: options.Task,
    input: Annotated[
        str, typer.Option("--input", "-i", metavar="JSON|@FILE|-", help="A JSON object; @FILE or - (stdin) holds one.")
    ],
    request_id: Annotated[
        str | None, typer.Option(metavar="ID", help="The same id gets the same answer. Default: a new one.")
    ] = None,
    deadline: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", min=0.001, help="How long to wait. Default: until it is answered."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the whole result, with its trace.")] = False,
    address: options.Address = None,
) -> None:
    """Answer one request. The output goes to stdout."""
    if request_id is not None and not 1 <= len(request_id) <= LONGEST_ID:
        raise Failed(f"--request-id: expected 1 to {LONGEST_ID} characters, got {len(request_id)}")
    value = read_input(input)
    result = asyncio.run(_ask(task, value, request_id, deadline, address))
    print_json(result.model_dump(mode="json") if json else result.output)


async def _ask(
    task: str, value: dict[str, Any], request_id: str | None, deadline: float | None, address: str | None
) -> TaskResult:
    async with connected(address, task) as apprentice, hinting():
        attempt = new_attempt() if request_id else 0
        return await apprentice.run(task, value, request_id=request_id, deadline=deadline, attempt=attempt)


def new_attempt() -> int:
    """A number that was not used before (milliseconds since 1970).

    Within a run of the workflow the same attempt gets the same failure again; a new one is tried again, and still
    finds the answer if there is one.
    """
    return time.time_ns() // 1_000_000


def read_input(argument: str, option: str = "--input") -> dict[str, Any]:
    """The object that an option stands for. Raises `Failed` (2)."""
    where = option
    try:
        if argument == "-":
            where = "standard input"
            return parse_object(sys.stdin.buffer.read())
        if argument.startswith("@"):
            where = argument[1:]
            return parse_object(Path(where).read_bytes())
        return parse_object(argument)
    except OSError as error:
        raise Failed(f"cannot read {where}: {error.strerror}") from None
    except JsonError as error:
        raise Failed(f"{where}: {error}") from None
