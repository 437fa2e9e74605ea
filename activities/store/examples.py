"""The data set: each input once, with the remote model's answer, split for ever into training and hold-out."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from sqlalchemy import Connection, RowMapping, bindparam, select, update

from activities.store import amendments
from activities.store.amendments import UNKNOWN, Frozen
from activities.store.database import Database
from activities.store.dialect import insert_absent, insert_numbered
from activities.store.tables import datasets, examples
from apprentice.messages import DatasetRef, Split

type Wanted = Callable[[dict[str, Any]], bool]


@dataclass(frozen=True, slots=True)
class Example:
    """One input and the remote answer that teaches it. `input_hash` is of the normalised input.

    `fair`: the remote model was asked whatever the input was, not because the local model was unsure of it.
    `prompt_version` is of the prompt that it was asked with (`apprentice.prompts`). `corrected`: a person gave another
    output than the teacher did, and this is it.
    """

    task: str
    schema_version: int
    request_id: str
    input_hash: str
    split: Split
    input: dict[str, Any]
    output: dict[str, Any]
    provider: str
    model: str
    created_at: datetime
    fair: bool = True
    prompt_version: str | None = None
    corrected: bool = False


_COLUMNS = tuple(name for name in Example.__slots__ if name != "corrected")


class Examples:
    """Reads the data set; examples come in through `Journal.answered`, with the call that paid for them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def snapshot(self, task: str, schema_version: int, *, leave_out_disputed: bool = False) -> DatasetRef:
        """Freeze the data set as it is now: one row is read, and the amendments, however large the set is.

        `leave_out_disputed`: without the training examples on which teachers disagree.
        """
        key = {"task": task, "schema_version": schema_version}
        row = await self._database.read(lambda connection: connection.execute(_counters, key).one_or_none())
        last_id, train, holdout, last_amendment = (0, 0, 0, 0) if row is None else row
        # Amendments up to this number do not change any more, so this need not be the same transaction.
        frozen = Frozen(task, schema_version, last_amendment)
        count = partial(amendments.left_out, frozen=frozen, leaves_out_disputed=leave_out_disputed)
        out = await self._database.read_bulk(count) if last_amendment else dict.fromkeys(Split, 0)
        return DatasetRef(
            task=task,
            schema_version=schema_version,
            last_id=last_id,
            train=train - out[Split.TRAIN],
            holdout=holdout - out[Split.HOLDOUT],
            last_amendment=last_amendment,
            leaves_out_disputed=leave_out_disputed,
            left_out=sum(out.values()),
        )

    async def read(self, ref: DatasetRef, split: Split, batch: int = 1000) -> AsyncIterator[Example]:
        """The examples of a frozen data set in the order they came; `batch` rows are in memory at a time."""
        async for page in self._pages(ref, split, batch):
            for example in page:
                yield example

    async def newest(self, ref: DatasetRef, split: Split, count: int) -> list[Example]:
        """The newest fair examples of a frozen data set, at most `count`, in the order they came."""
        return await self._database.read_bulk(partial(_read_newest, ref=ref, split=split, count=count))

    async def _pages(self, ref: DatasetRef, split: Split, batch: int) -> AsyncIterator[list[Example]]:
        after: int | None = 0
        while after is not None:
            page, after = await self._database.read_bulk(
                partial(_read_page, ref=ref, split=split, after=after, batch=batch)
            )
            yield page

    async def held_out(self, ref: DatasetRef, batch: int = 1000) -> AsyncIterator[list[dict[str, Any]]]:
        """The hold-out inputs of a frozen data set and of all its task's other schema versions up to then, by pages."""
        after = 0
        while True:
            page = {"task": ref.task, "last_id": ref.last_id, "after": after, "batch": batch}
            rows = await self._database.read_bulk(partial(_read_held, page=page))
            yield [input for _, input in rows]
            if len(rows) < batch:
                return
            after = rows[-1][0]

    async def export(self, ref: DatasetRef, split: Split, file: Path, wanted: Wanted = lambda input: True) -> int:
        """Write {"input", "output"} lines; returns how many. The file appears whole or not at all.

        Inputs that are not `wanted` are left out.
        """
        unfinished = file.with_name(f".{file.name}.{os.getpid()}.partial")
        count = 0
        try:
            with unfinished.open("w", encoding="utf-8") as lines:
                async for page in self._pages(ref, split, batch=1000):
                    count += await asyncio.to_thread(_write, lines, page, wanted)
                await asyncio.to_thread(_flush, lines)
            unfinished.replace(file)
        finally:
            unfinished.unlink(missing_ok=True)
        return count


_counters = select(datasets.c.last_id, datasets.c.train, datasets.c.holdout, datasets.c.last_amendment).where(
    datasets.c.task == bindparam("task"), datasets.c.schema_version == bindparam("schema_version")
)
_locked = _counters.with_for_update()
_count = (
    update(datasets)
    .where(datasets.c.task == bindparam("of_task"), datasets.c.schema_version == bindparam("of_schema"))
    .values(
        last_id=bindparam("id"),
        train=datasets.c.train + bindparam("to_train"),
        holdout=datasets.c.holdout + bindparam("to_holdout"),
    )
)
_page = (
    select(examples)
    .where(
        examples.c.task == bindparam("task"),
        examples.c.schema_version == bindparam("schema_version"),
        examples.c.split == bindparam("split"),
        examples.c.id > bindparam("after"),
        examples.c.id <= bindparam("last_id"),
    )
    .order_by(examples.c.id)
    .limit(bindparam("batch"))
)

_held = (
    select(examples.c.id, examples.c.input)
    .where(
        examples.c.task == bindparam("task"),
        examples.c.split == Split.HOLDOUT.value,
        examples.c.id > bindparam("after"),
        examples.c.id <= bindparam("last_id"),
    )
    .order_by(examples.c.id)
    .limit(bindparam("batch"))
)

_newest = (
    select(examples)
    .where(
        examples.c.task == bindparam("task"),
        examples.c.schema_version == bindparam("schema_version"),
        examples.c.split == bindparam("split"),
        examples.c.id <= bindparam("last_id"),
        examples.c.fair,
    )
    .order_by(examples.c.id.desc())
)


def add(connection: Connection, example: Example) -> Split | None:
    """Insert the example and count it, within the caller's transaction. None when its input is there already."""
    key = {"task": example.task, "schema_version": example.schema_version}
    # The counter's row is locked first: two writers of a task then number their examples in the order they commit, and
    # no example slips in later under a snapshot's `last_id`. (SQLite has one writer at a time and ignores the lock.)
    if connection.execute(_locked, key).one_or_none() is None:
        insert_absent(connection, datasets, key | {"last_id": 0, "train": 0, "holdout": 0})
        connection.execute(_locked, key)
    id_ = insert_numbered(connection, examples, _row(example))
    if id_ is None:
        return None
    train = example.split is Split.TRAIN
    counted = {"id": id_, "to_train": int(train), "to_holdout": int(not train)}
    connection.execute(_count, {"of_task": example.task, "of_schema": example.schema_version} | counted)
    return example.split


def _read_newest(connection: Connection, ref: DatasetRef, split: Split, count: int) -> list[Example]:
    # No more than `left_out` of them can turn out not to belong to the data set.
    rows = connection.execute(_newest.limit(count + ref.left_out), _key(ref, split)).mappings().all()
    return _amended(connection, ref, rows[::-1])[-count:]


def _read_page(
    connection: Connection, ref: DatasetRef, split: Split, after: int, batch: int
) -> tuple[list[Example], int | None]:
    """The next examples, and after which number to go on; None at the end."""
    rows = connection.execute(_page, _key(ref, split) | {"after": after, "batch": batch}).mappings().all()
    return _amended(connection, ref, rows), rows[-1]["id"] if len(rows) == batch else None


def _key(ref: DatasetRef, split: Split) -> dict[str, Any]:
    return {"task": ref.task, "schema_version": ref.schema_version, "split": split.value, "last_id": ref.last_id}


def _amended(connection: Connection, ref: DatasetRef, rows: Sequence[RowMapping]) -> list[Example]:
    """As the data set has them, in the order of their numbers; without those that it leaves out."""
    if not rows:
        return []
    frozen = Frozen(ref.task, ref.schema_version, ref.last_amendment)
    known = amendments.between(connection, frozen, rows[0]["id"], rows[-1]["id"])
    examples = []
    for row in rows:
        example = Example(**{name: row[name] for name in _COLUMNS} | {"split": Split(row["split"])})
        amended = known.get(row["id"], UNKNOWN)
        if amended.keeps(example.split, leaves_out_disputed=ref.leaves_out_disputed):
            right = example.output if amended.output is None else amended.output
            examples.append(replace(example, output=right, corrected=right != example.output))
    return examples


def _read_held(connection: Connection, page: dict[str, Any]) -> list[tuple[int, dict[str, Any]]]:
    return [(row.id, row.input) for row in connection.execute(_held, page)]


def _write(lines: TextIO, page: list[Example], wanted: Wanted) -> int:
    chosen = [_line(example) for example in page if wanted(example.input)]
    lines.writelines(chosen)
    return len(chosen)


def _line(example: Example) -> str:
    row: dict[str, Any] = {"input": example.input, "output": example.output}
    if not example.fair or example.corrected:
        row["fair"] = False
    return json.dumps(row, ensure_ascii=False) + "\n"


def _flush(file: TextIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _row(example: Example) -> dict[str, Any]:
    return {name: getattr(example, name) for name in _COLUMNS} | {"split": example.split.value}
