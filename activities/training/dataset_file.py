"""A data set as a trainer gets it: JSONL of {"input": {...}, "output": {...}}, the training part only."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class DatasetError(ValueError):
    """A row that cannot be trained on. Names the line, never its content."""


def rows(file: Path) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """(input, output) of each line, one in memory at a time; blank lines are skipped. Raises DatasetError."""
    try:
        with file.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield _row(file, number, line)
    except OSError as error:
        raise DatasetError(f"dataset {file.name} cannot be read: {error.strerror}") from error


def _row(file: Path, number: int, line: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise DatasetError(f"dataset {file.name}, line {number}: not valid JSON") from error
    pair = (row.get("input"), row.get("output")) if isinstance(row, dict) else (None, None)
    if not isinstance(pair[0], dict) or not isinstance(pair[1], dict):
        raise DatasetError(f'dataset {file.name}, line {number}: expected {{"input": {{...}}, "output": {{...}}}}')
    return pair[0], pair[1]
