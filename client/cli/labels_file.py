"""Files of labels: those that people fill in, and those that `feedback --sample` writes for them.

{"request_id": ..., "output": {...}} or {"request_id": ..., "right": true|false}; with neither, nobody has said yet.
"""

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from apprentice.messages import Label
from client.cli.output import Failed
from client.cli.strict_json import JsonError, parse_object
from client.errors import InvalidLabel
from client.labels import label_of

if TYPE_CHECKING:
    from activities.store import Drawn


@dataclass
class Labels:
    """What a file says: labels by their line, lines that are not filled in, and what is wrong with the others."""

    given: dict[int, Label] = field(default_factory=dict)
    empty: int = 0
    problems: list[str] = field(default_factory=list)


def read_labels(path: Path) -> Labels:
    """Of two lines about the same request the later one holds. Raises `Failed` (2) if it cannot be read."""
    labels = Labels()
    lines: dict[str, int] = {}
    try:
        with path.open("rb") as file:
            for number, text in enumerate(file, start=1):
                if text.strip():
                    _read(labels, lines, number, text)
    except OSError as error:
        raise Failed(f"cannot read {path}: {error.strerror}") from None
    return labels


def _read(labels: Labels, lines: dict[str, int], number: int, text: bytes) -> None:
    try:
        label = _label(parse_object(text))
    except (JsonError, InvalidLabel) as error:
        labels.problems.append(f"line {number}: {error}")
        return
    if label is None:
        labels.empty += 1
        return
    if (before := lines.get(label.request_id)) is not None:
        del labels.given[before]
    lines[label.request_id] = number
    labels.given[number] = label


def _label(row: dict[str, Any]) -> Label | None:
    """None where nobody has said anything. Other keys (the input, the answer) are for the reader's eyes."""
    request_id, output, right = row.get("request_id"), row.get("output"), row.get("right")
    if not isinstance(request_id, str):
        raise InvalidLabel("request_id: expected text")
    if output is None and right is None:
        return None
    if output is not None and not isinstance(output, dict):
        raise InvalidLabel("output: expected a JSON object, or null")
    if right is not None and not isinstance(right, bool):
        raise InvalidLabel("right: expected true, false or null")
    return label_of(request_id, output, right)


def write_sample(path: Path, drawn: Iterable["Drawn"]) -> int:
    """One line a request, with room for what people say. Whole or not at all; nobody else may read it.

    Raises `Failed` (2).
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    count = 0
    try:
        # It holds people's data, and stands beside the configuration.
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            for one in drawn:
                file.write(json.dumps(_row(one), ensure_ascii=False) + "\n")
                count += 1
        draft.replace(path)
    except OSError as error:
        raise Failed(f"cannot write {path}: {error.strerror}") from None
    finally:
        draft.unlink(missing_ok=True)
    return count


def _row(drawn: "Drawn") -> dict[str, Any]:
    """What was said before stands there: an output goes before right or wrong, which follow from it."""
    said = {"right": drawn.correct, "output": None if drawn.correct is not None else drawn.output}
    return {"request_id": drawn.request_id, "input": drawn.input, "answer": drawn.answer} | said
