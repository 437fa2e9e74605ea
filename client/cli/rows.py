"""The rows that `batch` and `simulate` write: one for each request, JSON on one line.

{"request_id": ..., "output": {...}, "served_by": "local"|"remote", "degraded": ..., "cost_usd": ...}
{"request_id": ..., "line": ..., "error": ..., "message": ...}
"""

import json
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from apprentice.messages import Source, TaskResult
from client.cli.strict_json import JsonError, parse_object

PREFIX = b'{"request_id": "'
"""What every row begins with: so half a row is told from somebody else's file."""


def answered_row(request_id: str, output: dict[str, Any], served_by: Source, *, degraded: bool, cost: Decimal) -> bytes:
    """A request that was answered, with its newline.

    `cost_usd` is what providers bill for it: 0 if the local model served (`report` has what local compute cost). It is
    a JSON number with all digits of the Decimal: read it with a decimal parser (`json.loads(row, parse_float=Decimal)`)
    and nothing is rounded.
    """
    row = {"request_id": request_id, "output": output, "served_by": served_by.value, "degraded": degraded}
    # json.dumps takes no Decimal, and a float would not have these digits.
    return f'{json.dumps(row, ensure_ascii=False)[:-1]}, "cost_usd": {cost:f}}}\n'.encode()


def result_row(result: TaskResult) -> bytes:
    """The row of a result."""
    trace = result.trace
    return answered_row(result.request_id, result.output, trace.served_by, degraded=result.degraded, cost=trace.cost)


def failed_row(request_id: str, line: int, error: str, message: str) -> bytes:
    """A request that failed, with its newline. `line` counts the input file's lines from 1."""
    row = {"request_id": request_id, "line": line, "error": error, "message": message}
    return json.dumps(row, ensure_ascii=False).encode() + b"\n"


@dataclass(frozen=True)
class Row:
    """What can be read from a row: an answer (with its cost), or a failure."""

    request_id: str
    answered: bool
    local: bool = False
    cost: Decimal = Decimal(0)


def read_row(raw: bytes) -> Row | None:
    """The row of a line; None if it is none of ours."""
    try:
        row = parse_object(raw)
        request_id = row.get("request_id")
        if not isinstance(request_id, str):
            return None
        if isinstance(row.get("error"), str):
            return Row(request_id, answered=False)
        if not isinstance(row.get("output"), dict) or row.get("served_by") not in set(Source):
            return None
        cost = json.loads(raw, parse_float=Decimal, parse_int=Decimal).get("cost_usd")
        if not isinstance(cost, Decimal):
            return None
        return Row(request_id, answered=True, local=row["served_by"] == Source.LOCAL, cost=cost)
    except JsonError:
        return None
