"""Questions of batches, from when they are collected until the task has heard what became of them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, func, select, update

from activities.store.database import Database
from activities.store.dialect import insert_absent
from activities.store.tables import batch_items as table
from activities.store.tables import examples
from apprentice.messages import Answer, Split, TaskRequest

# A database takes so many parameters in one statement.
AT_ONCE = 500


class QuestionState(StrEnum):
    """WAITING: nobody was asked. SENT: it is in the provider's batch. DOUBT: nobody knows whether it was asked.

    ANSWERED; REJECTED: paid, but unusable; FAILED: it cost nothing.
    """

    WAITING = "waiting"
    SENT = "sent"
    DOUBT = "doubt"
    ANSWERED = "answered"
    REJECTED = "rejected"
    FAILED = "failed"

    @property
    def ended(self) -> bool:
        return self not in (QuestionState.WAITING, QuestionState.SENT)


@dataclass(frozen=True, slots=True)
class Question:
    """One question of a batch. `local` is the answer to compare with; `cost` and what follows are what came of it."""

    task: str
    request_id: str
    batch: int
    schema_version: int
    input_hash: str
    input: dict[str, Any]
    local: Answer | None
    propensity: float
    reserved: Decimal
    state: QuestionState = QuestionState.WAITING
    provider_batch: str | None = None
    cost: Decimal | None = None
    score: float | None = None
    example: Split | None = None

    @property
    def request(self) -> TaskRequest:
        return TaskRequest(request_id=self.request_id, task=self.task, input=self.input)


class Batches:
    """Keyed by (task, request id). Every operation is one transaction; each may be repeated."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, questions: list[Question], now: datetime) -> None:
        """Keep them, each unless its request is there already."""
        rows = [_row(question) | {"created_at": now} for question in questions]
        await self._database.write(lambda connection: _put(connection, rows))

    async def all(self, task: str, batch: int) -> list[Question]:
        """The questions of a batch, in the order of their request ids."""
        rows = await self._database.read_bulk(lambda c: c.execute(_of_batch, {"task": task, "batch": batch}).all())
        return [_question(row) for row in rows]

    async def known(self, task: str, schema_version: int, hashes: list[str]) -> set[str]:
        """Which inputs need not be asked any more: an example has them, or a batch will."""
        return await self._database.read(lambda c: _known(c, task, schema_version, hashes))

    async def sent(self, task: str, batch: int, provider_batch: str) -> None:
        """What was waiting is with the provider, under that name."""
        this = (table.c.task == task) & (table.c.batch == batch) & (table.c.state == QuestionState.WAITING.value)
        values = {"state": QuestionState.SENT.value, "provider_batch": provider_batch}
        await self._database.write(lambda connection: connection.execute(update(table).where(this).values(values)))

    async def ended(
        self,
        question: Question,
        state: QuestionState,
        *,
        cost: Decimal = Decimal(0),
        score: float | None = None,
        example: Split | None = None,
    ) -> None:
        """What became of a question."""
        values = {"state": state.value, "cost": cost, "score": score, "example": example.value if example else None}
        this = (table.c.task == question.task) & (table.c.request_id == question.request_id)
        await self._database.write(lambda connection: connection.execute(update(table).where(this).values(values)))

    async def clear(self, task: str, batch: int) -> None:
        """The task has heard of it."""
        this = (table.c.task == task) & (table.c.batch == batch)
        await self._database.write(lambda connection: connection.execute(delete(table).where(this)))

    async def taken(self) -> set[str]:
        """The provider's names of all batches under way, of any task."""
        query = select(table.c.provider_batch).where(table.c.provider_batch.is_not(None)).distinct()
        return set(await self._database.read(lambda connection: connection.execute(query).scalars().all()))

    async def last(self, task: str) -> int:
        """The highest number of a batch that the task has questions of; 0 without any."""
        query = select(func.max(table.c.batch)).where(table.c.task == task)
        return await self._database.read(lambda connection: connection.execute(query).scalar()) or 0


_of_batch = (
    select(table)
    .where(table.c.task == bindparam("task"), table.c.batch == bindparam("batch"))
    .order_by(table.c.request_id)
)


def _put(connection: Connection, rows: list[dict[str, Any]]) -> None:
    for row in rows:
        insert_absent(connection, table, row)


def _known(connection: Connection, task: str, schema_version: int, hashes: list[str]) -> set[str]:
    found: set[str] = set()
    for part in _parts(hashes):
        for place in (examples, table):
            these = (place.c.task == task) & (place.c.schema_version == schema_version) & place.c.input_hash.in_(part)
            found |= set(connection.execute(select(place.c.input_hash).where(these)).scalars())
    return found


def _parts(hashes: list[str]) -> Iterable[list[str]]:
    return (hashes[start : start + AT_ONCE] for start in range(0, len(hashes), AT_ONCE))


def _row(question: Question) -> dict[str, Any]:
    row = {name: getattr(question, name) for name in Question.__slots__}
    local = question.local.model_dump_json() if question.local else None
    return row | {"state": question.state.value, "local": local, "example": None}


def _question(row: Row[Any]) -> Question:
    values = {name: getattr(row, name) for name in Question.__slots__}
    return Question(
        **values
        | {
            "state": QuestionState(row.state),
            "local": None if row.local is None else Answer.model_validate_json(row.local),
            "example": None if row.example is None else Split(row.example),
        }
    )
