"""Recorded traffic: a JSONL file of {"input", "output"} rows, read once for each process and change of the file."""

import asyncio
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from activities.remote.errors import InvalidRequest
from apprentice.datasets import input_hash


class Recording(NamedTuple):
    """Outputs by the hash of the normalised input, and all distinct ones in the order they came."""

    by_input: dict[str, dict[str, Any]]
    distinct: list[dict[str, Any]]

    def other_than(self, output: dict[str, Any], coins: random.Random) -> dict[str, Any]:
        """The output of another row: a plausible wrong answer. `output` itself if there is no other."""
        others = [other for other in self.distinct if other != output]
        return coins.choice(others) if others else output


_read: dict[Path, tuple[tuple[int, int], Recording]] = {}
_reading = asyncio.Lock()


async def recording(file: Path) -> Recording:
    """The recording in `file`. Raises InvalidRequest naming the file and, for a bad row, its line."""
    async with _reading:
        try:
            stat = await asyncio.to_thread(file.stat)
            stamp = (stat.st_mtime_ns, stat.st_size)
            known = _read.get(file)
            if known is None or known[0] != stamp:
                known = (stamp, await asyncio.to_thread(_parse, file))
                _read[file] = known
        except OSError as error:
            raise InvalidRequest(f"cannot read the recording {file}: {error.strerror}") from None
    return known[1]


def _parse(file: Path) -> Recording:
    by_input: dict[str, dict[str, Any]] = {}
    distinct: dict[str, dict[str, Any]] = {}
    for input, output in _rows(file):
        # An input that was recorded twice keeps its first answer: one input, one label, as in the data set.
        by_input.setdefault(input_hash(input), output)
        distinct.setdefault(json.dumps(output, sort_keys=True), output)
    return Recording(by_input, list(distinct.values()))


def _rows(file: Path) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    with file.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError:
                raise InvalidRequest(f"{file}, line {number}: not a JSON object in UTF-8") from None
            if not isinstance(row, dict) or not all(isinstance(row.get(name), dict) for name in ("input", "output")):
                raise InvalidRequest(f'{file}, line {number}: needs the objects "input" and "output"')
            yield row["input"], row["output"]
