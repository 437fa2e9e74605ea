"""Labels on their way to a task: checked one by one, and as many at a time as one message takes."""

from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import ValidationError

from apprentice.messages import Feedback, Label
from apprentice.messages.feedback import LABELS
from client.errors import InvalidInput, InvalidLabel
from client.requests import request_of
from workflows.burst import LARGEST_INPUT, LARGEST_REQUEST


def label_of(request_id: str, output: dict[str, Any] | None, right: bool | None) -> Label:
    """Raises InvalidLabel: neither or both are given, the id is none, or the output is no JSON that can be sent."""
    try:
        label = Label(request_id=request_id, output=output, right=right)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise InvalidLabel(f"not a label: {f'{where}: ' if where else ''}{first['msg']}") from None
    except RecursionError:
        raise InvalidLabel("the output is not JSON: nested too deep") from None
    _size("task", label, LARGEST_REQUEST)
    return label


def feedback_of(task: str, labels: Sequence[Label], largest: int) -> Iterator[tuple[Feedback, int]]:
    """Messages with the labels in their order, and how long they are in bytes. Raises InvalidLabel."""
    part: list[Label] = []
    filled = 0
    for label in labels:
        size = _size(task, label, largest)
        if part and (filled + size > LARGEST_INPUT or len(part) == LABELS):
            yield Feedback(labels=part), filled
            part, filled = [], 0
        part, filled = [*part, label], filled + size
    if part:
        yield Feedback(labels=part), filled


def _size(task: str, label: Label, largest: int) -> int:
    """As of a request: what could not be sent as an input cannot be sent as an output either."""
    try:
        return len(request_of(task, label.output or {}, label.request_id, largest, "output")[1])
    except InvalidInput as error:
        raise InvalidLabel(f"request id {label.request_id!r}: {error}") from None
