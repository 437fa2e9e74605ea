"""A data set as a trainer gets it: JSONL of {"input": {...}, "output": {...}}, the training part only."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple


class DatasetError(ValueError):
    """A row that cannot be trained on. Names the line, never its content."""


class Row(NamedTuple):
    """An example. `fair`: it is the teacher's own answer to a fair draw of the traffic."""

    input: dict[str, Any]
    output: dict[str, Any]
    fair: bool = True


def rows(file: Path) -> Iterator[Row]:
    """Each line's, one in memory at a time; blank lines are skipped. Raises DatasetError."""
    try:
        with file.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield _row(file, number, line)
    except OSError as error:
        raise DatasetError(f"dataset {file.name} cannot be read: {error.strerror}") from error


def _row(file: Path, number: int, line: bytes) -> Row:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise DatasetError(f"dataset {file.name}, line {number}: not valid JSON") from error
    pair = (row.get("input"), row.get("output")) if isinstance(row, dict) else (None, None)
    if not isinstance(pair[0], dict) or not isinstance(pair[1], dict):
        raise DatasetError(f'dataset {file.name}, line {number}: expected {{"input": {{...}}, "output": {{...}}}}')
    return Row(pair[0], pair[1], row.get("fair") is not False)
