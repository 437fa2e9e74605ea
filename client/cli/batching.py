"""A file of requests on its way through a task: which are still to be asked, and what became of each."""

import asyncio
from array import array
from bisect import insort
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal

from client import Apprentice
from client.cli.counts import counted
from client.cli.output import Failed
from client.cli.requests_file import Line, RequestsFile
from client.cli.rows import failed_row, result_row
from client.cli.rows_file import RowsFile
from client.cli.run import new_attempt
from client.errors import ApprenticeError, RequestFailed, UnknownTask

FAILURES_SHOWN = 10
ABSENT = -1


@dataclass(order=True, frozen=True)
class Failure:
    """A line without an answer."""

    line: int
    error: str
    message: str


@dataclass
class Tally:
    """How far it is. `kept` of the answers are from an earlier run; `failures` are the first ten, by line."""

    total: int
    kept: int = 0
    answered: int = 0
    failed: int = 0
    local: int = 0
    cost: Decimal = Decimal(0)
    failures: list[Failure] = field(default_factory=list)

    @property
    def done(self) -> int:
        """Requests with a row, answer or not."""
        return self.answered + self.failed

    @property
    def local_share(self) -> float:
        """Share of the answers that the local model gave, in [0, 1]."""
        return self.local / self.answered if self.answered else 0.0

    def fail(self, failure: Failure) -> None:
        """Count a failure."""
        self.failed += 1
        insort(self.failures, failure)
        del self.failures[FAILURES_SHOWN:]


class Batch:
    """Asks what is not answered yet. Each answer is on disk before the next request takes its place."""

    def __init__(self, apprentice: Apprentice, task: str, requests: RequestsFile, rows: RowsFile) -> None:
        """Raises `Failed` (2) if the output file holds answers to other requests: they would be lost."""
        self._apprentice, self._task, self._requests, self._rows = apprentice, task, requests, rows
        self._offsets = array("q", [ABSENT]) * len(requests)
        # What failed in an earlier run is tried again; what was answered is not, the task remembers it by request id.
        self._attempt = new_attempt()
        kept = self._find_answers()
        self.tally = Tally(len(requests), kept=kept, answered=kept, local=rows.local, cost=rows.cost)

    def _find_answers(self) -> int:
        answers = self._rows.answers
        if not answers:
            return 0
        left = set(answers)
        for index, line in enumerate(self._requests):
            if line.input is not None and line.request_id in answers:
                self._offsets[index] = answers[line.request_id]
                left.discard(line.request_id)
        if left:
            first = min(left, key=answers.__getitem__)
            raise Failed(
                f"{self._rows.path} holds {counted(len(left), 'answer')} without a request in the input (the first has "
                f"request_id {first!r}): choose another --output, or move this file away, so that nothing is lost"
            )
        return len(answers)

    async def run(self, concurrency: int, progress: Callable[[Tally], None]) -> None:
        """Ask, `concurrency` requests at a time; then put the rows in the order of the input. Raises UnknownTask."""
        waiting = (index for index, offset in enumerate(self._offsets) if offset == ABSENT)
        async with asyncio.TaskGroup() as group:
            for _ in range(min(concurrency, self.tally.total - self.tally.kept)):
                group.create_task(self._work(waiting, progress))
        self._rows.arrange(self._offsets)

    async def _work(self, waiting: Iterator[int], progress: Callable[[Tally], None]) -> None:
        for index in waiting:
            row = await self._ask(self._requests[index])
            self._offsets[index] = self._rows.append(row)
            progress(self.tally)

    async def _ask(self, line: Line) -> bytes:
        if line.input is None:
            return self._failed(line, "InvalidLine", line.problem or "")
        try:
            result = await self._apprentice.run(
                self._task, line.input, request_id=line.request_id, attempt=self._attempt
            )
        except UnknownTask:
            raise
        except RequestFailed as error:
            return self._failed(line, error.kind, str(error).removeprefix(f"{error.kind}: "))
        except ApprenticeError as error:
            return self._failed(line, type(error).__name__, str(error))
        tally = self.tally
        tally.answered += 1
        tally.local += result.trace.served_by == "local"
        tally.cost += result.trace.cost
        return result_row(result)

    def _failed(self, line: Line, error: str, message: str) -> bytes:
        self.tally.fail(Failure(line.number, error, message))
        return failed_row(line.request_id, line.number, error, message)
