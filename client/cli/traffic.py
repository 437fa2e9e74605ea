"""Recorded traffic: a JSONL file of {"input", "output"} rows, with an optional "request_id" each."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from apprentice import prices
from apprentice.inference import infer_settings
from apprentice.schema import Schema, SchemaError, compile_schema
from apprentice.settings import RemoteSettings, TaskSettings
from apprentice.simulation import Recorded
from client.cli.output import Failed
from client.cli.requests_file import LONGEST_ID, derived_id
from client.cli.strict_json import JsonError, parse_object

DEFAULT_MODEL = "claude-sonnet-4-5"
PROBLEMS_SHOWN = 10


class _Reader:
    """Collects what is wrong, up to `PROBLEMS_SHOWN` lines of it."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.problems: list[str] = []

    def problem(self, line: int, words: str) -> None:
        self.problems.append(f"{self.file}:{line}: {words}")
        if len(self.problems) == PROBLEMS_SHOWN:
            self.check()

    def check(self) -> None:
        """Raises `Failed` if anything is wrong."""
        if self.problems:
            raise Failed("\n".join(self.problems))


def read_traffic(task: str, file: Path) -> dict[int, Recorded]:
    """All rows by line number; a row without an id gets the one that `batch` would give it.

    Other keys are ignored. Raises `Failed` (2) naming the lines at fault."""
    reader = _Reader(file)
    rows: dict[int, Recorded] = {}
    lines: dict[str, int] = {}
    for number, text in _lines(file):
        try:
            row = _row(task, number, text)
        except JsonError as error:
            reader.problem(number, str(error))
            continue
        first = lines.setdefault(row.request_id, number)
        if first != number:
            reader.problem(number, f"the request_id is that of line {first}; each request needs one of its own")
        rows[number] = row
    reader.check()
    if not rows:
        raise Failed(f'{file}: no rows; expected lines of {{"input": {{...}}, "output": {{...}}}}')
    return rows


def _lines(file: Path) -> Iterator[tuple[int, bytes]]:
    """The lines that are not blank. Raises `Failed` if the file cannot be read."""
    try:
        with file.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield number, line
    except OSError as error:
        raise Failed(f"cannot read {file}: {error.strerror}") from None


def _row(task: str, number: int, text: bytes) -> Recorded:
    row = parse_object(text)
    for key in ("input", "output"):
        if not isinstance(row.get(key), dict):
            raise JsonError(f'needs an object "{key}"' if key in row else f'"{key}" is missing')
    request_id = row.get("request_id", derived_id(task, number, text))
    if not isinstance(request_id, str) or not 1 <= len(request_id) <= LONGEST_ID:
        raise JsonError(f'"request_id" must be text of 1 to {LONGEST_ID} characters')
    return Recorded(request_id, row["input"], row["output"])


def checked(file: Path, rows: dict[int, Recorded], settings: TaskSettings) -> list[Recorded]:
    """The rows as the task's schemas read them. Raises `Failed` (2) naming the lines that do not fit."""
    reader, fitting = _Reader(file), []
    schemas = compile_schema(settings.input_schema), compile_schema(settings.output_schema)
    for number, row in rows.items():
        try:
            fitting.append(_fit(row, *schemas))
        except SchemaError as error:
            reader.problem(number, str(error))
    reader.check()
    return fitting


def _fit(row: Recorded, input: Schema, output: Schema) -> Recorded:
    """Raises SchemaError; paths begin with `input` or `output`."""
    values: dict[str, Any] = {}
    for name, schema, value in (("input", input, row.input), ("output", output, row.output)):
        try:
            values[name] = schema.validate(value)
        except SchemaError as error:
            raise SchemaError([(f"{name}.{path}" if path else name, words) for path, words in error.problems]) from None
    return Recorded(row.request_id, values["input"], values["output"])


def inferred(task: str, file: Path, rows: dict[int, Recorded]) -> TaskSettings:
    """Settings for traffic that no configuration describes, with `DEFAULT_MODEL` at its list price.

    Raises `Failed` (2) for traffic that no schema fits, and for a name that no task can have.
    """
    remote = RemoteSettings(provider="recorded", model=DEFAULT_MODEL, traffic=str(file.absolute()))
    remote = remote.model_copy(update={"price": prices.price_of(remote)})
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,62}", task):
        raise Failed(f"{task!r} cannot name a task: a small letter, then small letters, digits and _ (63 at most)")
    try:
        inputs, outputs = [row.input for row in rows.values()], [row.output for row in rows.values()]
        settings = infer_settings(task, inputs, outputs, remote)
        compile_schema(settings.input_schema), compile_schema(settings.output_schema)
    except SchemaError as error:
        raise Failed(f"{file}: {error}; describe the task in an apprentice.yaml (`apprentice init`)") from None
    return settings
