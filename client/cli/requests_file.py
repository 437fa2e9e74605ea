"""The input of `batch`: a JSONL file, one request a line, read by offset so that a million lines are no burden.

A line is `{"input": {...}}`, with a `request_id` if the caller has one (other keys, such as the `output` of recorded
traffic, are ignored), or the input object itself when it has no object under `input`.
"""

import shutil
import tempfile
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import IO, Any, Self

from client.cli.output import Failed
from client.cli.strict_json import JsonError, parse_object

LONGEST_ID = 200


@dataclass(frozen=True)
class Line:
    """One request. `problem` says why there is no `input`."""

    number: int
    request_id: str
    input: dict[str, Any] | None = None
    problem: str | None = None


def derived_id(task: str, number: int, text: bytes) -> str:
    """20 hex digits that depend on the task, the line's number and its text, so that a rerun has the same."""
    return sha256(b"%s\n%d\n%s" % (task.encode(), number, text.strip())).hexdigest()[:20]


def read_line(task: str, number: int, text: bytes) -> Line:
    """The request in one line. Never raises: what is wrong with it is its `problem`."""
    own = derived_id(task, number, text)
    try:
        value = parse_object(text)
    except JsonError as error:
        return Line(number, own, problem=str(error))
    inner = value.get("input")
    if not isinstance(inner, dict):
        return Line(number, own, value)
    given = value.get("request_id", own)
    if not isinstance(given, str) or not 1 <= len(given) <= LONGEST_ID:
        return Line(number, own, problem=f"request_id: expected text of 1 to {LONGEST_ID} characters")
    return Line(number, given, inner)


class RequestsFile:
    """The lines of a file that are not blank, by index from 0. Holds 16 bytes a line, not the lines."""

    def __init__(self, task: str, file: IO[bytes]) -> None:
        self._task, self._file = task, file
        self._offsets, self._numbers = array("Q"), array("Q")
        self._repeated: dict[int, int] = {}
        self._index()

    @classmethod
    def open(cls, task: str, path: Path) -> Self:
        """Raises `Failed` (2) if it cannot be read. A pipe is copied to a temporary file first."""
        try:
            file: IO[bytes] = path.open("rb")
            if not file.seekable():
                with file as pipe:
                    file = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as this object
                    shutil.copyfileobj(pipe, file)
            return cls(task, file)
        except OSError as error:
            raise Failed(f"cannot read {path}: {error.strerror}") from None

    def __len__(self) -> int:
        return len(self._offsets)

    def __getitem__(self, index: int) -> Line:
        self._file.seek(self._offsets[index])
        line = read_line(self._task, self._numbers[index], self._file.readline())
        return self._checked(index, line)

    def __iter__(self) -> Iterator[Line]:
        return (self[index] for index in range(len(self)))

    def _index(self) -> None:
        """Find the lines, and the ids that callers gave more than once: two requests cannot share an answer."""
        given: dict[str, int] = {}
        offset = 0
        self._file.seek(0)
        for number, text in enumerate(self._file, start=1):
            if text.strip():
                if b"request_id" in text:
                    self._note_id(given, read_line(self._task, number, text))
                self._offsets.append(offset)
                self._numbers.append(number)
            offset += len(text)

    def _note_id(self, given: dict[str, int], line: Line) -> None:
        if line.problem is None and (first := given.setdefault(line.request_id, line.number)) != line.number:
            self._repeated[len(self._offsets)] = first

    def _checked(self, index: int, line: Line) -> Line:
        if index not in self._repeated:
            return line
        self._file.seek(self._offsets[index])
        own = derived_id(self._task, line.number, self._file.readline())
        return Line(line.number, own, problem=f"request_id was used before, in line {self._repeated[index]}")
