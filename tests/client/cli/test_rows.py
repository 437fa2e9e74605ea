import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apprentice.messages import Source
from client.cli.rows import PREFIX, answered_row, failed_row, read_row

COSTS = st.decimals(min_value=0, max_value=10**9, places=12) | st.just(Decimal("0E-7")) | st.just(Decimal("1E+3"))


@given(st.text(min_size=1), st.dictionaries(st.text(), st.text()), st.sampled_from(Source), st.booleans(), COSTS)
def test_a_row_is_one_line_of_json_with_all_digits_of_its_cost(
    request_id: str, output: dict[str, str], source: Source, degraded: bool, cost: Decimal
) -> None:
    raw = answered_row(request_id, output, source, degraded=degraded, cost=cost)
    assert raw.startswith(PREFIX)
    assert raw.count(b"\n") == 1
    assert raw.endswith(b"\n")
    assert json.loads(raw, parse_float=Decimal, parse_int=Decimal) == {
        "request_id": request_id,
        "output": output,
        "served_by": source.value,
        "degraded": degraded,
        "cost_usd": cost,
    }
    row = read_row(raw)
    assert row is not None
    assert (row.request_id, row.answered, row.local, row.cost) == (request_id, True, source is Source.LOCAL, cost)


@given(st.text(min_size=1), st.integers(1, 10**9), st.text())
def test_a_failed_row_is_read_back_as_no_answer(request_id: str, line: int, message: str) -> None:
    raw = failed_row(request_id, line, "TimedOut", message)
    assert raw.startswith(PREFIX)
    row = read_row(raw)
    assert row is not None
    assert (row.request_id, row.answered) == (request_id, False)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"text",
        b"[]",
        b'{"input": {"text": "x"}, "output": {"a": 1}}',
        b'{"request_id": "a", "output": {"a": 1}}',
        b'{"request_id": "a", "output": {"a": 1}, "served_by": "remote", "cost_usd": "1"}',
        b'{"request_id": "a", "output": {"a": 1}, "served_by": "somebody", "cost_usd": 1}',
        b'{"request_id": 1, "error": "x"}',
    ],
)
def test_what_is_no_row_is_not_taken_for_one(raw: bytes) -> None:
    assert read_row(raw) is None
