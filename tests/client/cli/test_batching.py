import asyncio
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from apprentice.messages import Phase, RouteReason, Source, TaskResult, Trace
from client import Apprentice, RequestFailed
from client.cli.batching import Batch, Tally
from client.cli.output import Failed
from client.cli.requests_file import RequestsFile
from client.cli.rows_file import RowsFile


class Killed(Exception):
    """The end of the process, as far as a batch can tell."""


class Answering(Apprentice):
    """Answers out of order, fails what is in `failing`, stops for good after `limit` answers."""

    def __init__(self, failing: frozenset[int] = frozenset(), limit: int | None = None) -> None:
        self.failing, self.limit = failing, limit
        self.asked: list[int] = []
        self.attempts: set[int] = set()
        self.in_flight = self.most_in_flight = 0

    async def run(
        self,
        task: str,
        input: dict[str, Any],
        *,
        request_id: str | None = None,
        deadline: float | None = None,
        attempt: int = 0,
    ) -> TaskResult:
        number = input["n"]
        if self.limit is not None and len(self.asked) >= self.limit:
            raise Killed
        self.asked.append(number)
        self.attempts.add(attempt)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        await asyncio.sleep(0.001 * (7 - number % 7))
        self.in_flight -= 1
        if number in self.failing:
            raise RequestFailed("TimedOut", "no answer in time")
        source = Source.LOCAL if number % 2 else Source.REMOTE
        trace = Trace(
            served_by=source, phase=Phase.COACHING, reason=RouteReason.COACHING, model="m", cost=Decimal("0.000100")
        )
        return TaskResult(output={"n": number}, request_id=request_id or "", trace=trace)


def file_of(folder: Path, count: int) -> Path:
    path = folder / "in.jsonl"
    path.write_text("".join(f'{{"n": {n}}}\n' for n in range(count)))
    return path


async def run(apprentice: Apprentice, requests: Path, output: Path, concurrency: int = 8) -> Tally:
    with RowsFile.open(output) as rows:
        batch = Batch(apprentice, "t", RequestsFile.open("t", requests), rows)
        await batch.run(concurrency, lambda tally: None)
        return batch.tally


def rows_of(output: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.read_text().splitlines()]


async def test_rows_come_in_the_order_of_the_input(tmp_path: Path) -> None:
    tally = await run(Answering(), file_of(tmp_path, 50), tmp_path / "out.jsonl")
    assert [row["output"]["n"] for row in rows_of(tmp_path / "out.jsonl")] == list(range(50))
    assert (tally.answered, tally.failed, tally.local_share, tally.cost) == (50, 0, 0.5, Decimal("0.005"))


async def test_no_more_requests_are_in_flight_than_was_said(tmp_path: Path) -> None:
    apprentice = Answering()
    await run(apprentice, file_of(tmp_path, 40), tmp_path / "out.jsonl", concurrency=3)
    assert apprentice.most_in_flight == 3


async def test_a_rerun_asks_nothing_that_was_answered(tmp_path: Path) -> None:
    requests, output = file_of(tmp_path, 20), tmp_path / "out.jsonl"
    await run(Answering(), requests, output)
    before, again = output.read_bytes(), Answering()
    tally = await run(again, requests, output)
    assert (again.asked, tally.kept, tally.answered, tally.cost) == ([], 20, 20, Decimal("0.002"))
    assert output.read_bytes() == before


async def test_a_rerun_tries_again_what_failed_in_a_new_attempt(tmp_path: Path) -> None:
    requests, output = file_of(tmp_path, 20), tmp_path / "out.jsonl"
    first = Answering(failing=frozenset({3, 11}))
    tally = await run(first, requests, output)
    assert [(failure.line, failure.error) for failure in tally.failures] == [(4, "TimedOut"), (12, "TimedOut")]
    assert [row["line"] for row in rows_of(output) if "error" in row] == [4, 12]
    second = Answering()
    tally = await run(second, requests, output)
    assert (sorted(second.asked), tally.failed) == ([3, 11], 0)
    assert second.attempts.isdisjoint(first.attempts)
    assert [row["output"]["n"] for row in rows_of(output)] == list(range(20))


@pytest.mark.parametrize("limit", [1, 7, 19])
async def test_an_interrupted_batch_goes_on_where_it_was(tmp_path: Path, limit: int) -> None:
    requests, output = file_of(tmp_path, 20), tmp_path / "out.jsonl"
    with pytest.RaisesGroup(Killed):
        await run(Answering(limit=limit), requests, output, concurrency=1)
    assert len(rows_of(output)) == limit
    rest = Answering()
    await run(rest, requests, output)
    assert len(rest.asked) == 20 - limit
    assert [row["output"]["n"] for row in rows_of(output)] == list(range(20))


async def test_lines_that_were_added_are_asked(tmp_path: Path) -> None:
    output = tmp_path / "out.jsonl"
    await run(Answering(), file_of(tmp_path, 5), output)
    more = Answering()
    await run(more, file_of(tmp_path, 8), output)
    assert sorted(more.asked) == [5, 6, 7]


async def test_answers_to_other_requests_are_never_lost(tmp_path: Path) -> None:
    output = tmp_path / "out.jsonl"
    await run(Answering(), file_of(tmp_path, 5), output)
    before = output.read_bytes()
    with pytest.raises(Failed, match="holds 3 answers without a request in the input"):
        await run(Answering(), file_of(tmp_path, 2), output)
    assert output.read_bytes() == before


async def test_only_the_first_ten_failures_are_kept_for_the_summary(tmp_path: Path) -> None:
    tally = await run(Answering(failing=frozenset(range(30))), file_of(tmp_path, 30), tmp_path / "out.jsonl")
    assert (tally.failed, [failure.line for failure in tally.failures]) == (30, list(range(1, 11)))
