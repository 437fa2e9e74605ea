"""Inputs of a backfill on their way to a task: as many at a time as one message takes."""

from collections.abc import Iterator, Sequence
from typing import Any

from apprentice.messages import Backfill, Backfilled
from apprentice.messages.batches import BACKFILL_ROWS
from client.requests import request_of
from workflows.burst import LARGEST_INPUT


def orders_of(task: str, inputs: Sequence[dict[str, Any]], largest: int) -> Iterator[Backfill]:
    """Messages with the inputs in their order. Raises InvalidInput for one that no request could carry."""
    part: list[dict[str, Any]] = []
    room = LARGEST_INPUT
    for input in inputs:
        size = len(request_of(task, input, "backfill", largest)[1])
        if part and (size > room or len(part) == BACKFILL_ROWS):
            yield Backfill(inputs=part)
            part, room = [], LARGEST_INPUT
        part, room = [*part, input], room - size
    if part:
        yield Backfill(inputs=part)


def added(one: Backfilled, other: Backfilled) -> Backfilled:
    """What became of two messages."""
    return Backfilled(
        queued=one.queued + other.queued,
        known=one.known + other.known,
        refused=one.refused + other.refused,
        why=other.why or one.why,
    )
