"""The data set: frozen by reference, read in order, exported whole."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event

from activities.store import Store
from apprentice.messages import DatasetRef, Split

Make = Callable[..., Any]

PLACES: list[dict[str, Any]] = [{}, {"schema_version": 2}, {"task": "other"}]


async def texts(store: Store, ref: DatasetRef, split: Split, batch: int = 1000) -> list[str]:
    return [example.input["text"] async for example in store.examples.read(ref, split, batch)]


async def test_an_empty_data_set_has_a_snapshot(store: Store) -> None:
    assert await store.examples.snapshot("tickets", 1) == DatasetRef(
        task="tickets", schema_version=1, last_id=0, train=0, holdout=0
    )


@pytest.mark.parametrize("batch", [1, 7, 50, 1000])
async def test_a_snapshot_stays_as_it_was(store: Store, call: Make, batch: int) -> None:
    names = [f"t{n}" for n in range(50)]
    for name in names:
        await call(name).make(store)
    ref = await store.examples.snapshot("tickets", 1)
    for n in range(20):
        await call(f"later{n}").make(store)
    train, holdout = [await texts(store, ref, split, batch) for split in (Split.TRAIN, Split.HOLDOUT)]
    assert (len(train), len(holdout)) == (ref.train, ref.holdout)
    assert sorted(train + holdout) == sorted(names)
    assert train == [name for name in names if name in set(train)]


async def test_an_example_comes_back_as_it_was(store: Store, call: Make) -> None:
    one = call("grüße ✓")
    await one.make(store)
    ref = await store.examples.snapshot("tickets", 1)
    assert [each async for each in store.examples.read(ref, one.example.split)] == [one.example]


async def test_schema_versions_and_tasks_are_kept_apart(store: Store, call: Make, now: datetime) -> None:
    for number, place in enumerate(PLACES):
        one = call("same", request_id=f"r-{number}")
        await store.journal.intend(one.intent, now)
        settled = await store.journal.answered(one.intent, one.answer, replace(one.example, **place), now)
        assert settled.example is one.example.split
    for key in (("tickets", 1), ("tickets", 2), ("other", 1)):
        ref = await store.examples.snapshot(*key)
        assert await texts(store, ref, one.example.split) == ["same"]


async def test_an_export_is_one_json_object_a_line(store: Store, call: Make, tmp_path: Path) -> None:
    for n in range(30):
        await call(f"t{n}\n✓").make(store)
    ref = await store.examples.snapshot("tickets", 1)
    file = tmp_path / "train.jsonl"
    assert await store.examples.export(ref, Split.TRAIN, file) == ref.train
    rows = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    assert [row["input"]["text"] for row in rows] == await texts(store, ref, Split.TRAIN)
    assert all(set(row) == {"input", "output"} for row in rows)


async def test_an_export_that_fails_leaves_the_old_file_and_no_scraps(
    store: Store, call: Make, tmp_path: Path, now: datetime
) -> None:
    broken = call("x")
    await store.journal.intend(broken.intent, now)
    unwritable = replace(broken.example, input={"text": "\ud800"}, split=Split.TRAIN)  # half a character: not UTF-8
    with pytest.raises(UnicodeEncodeError):
        await store.journal.answered(broken.intent, broken.answer, unwritable, now)
    file = tmp_path / "exports" / "train.jsonl"
    file.parent.mkdir()
    file.write_text("old")
    ref = DatasetRef(task="tickets", schema_version=1, last_id=9, train=0, holdout=0)
    await store.close()
    with pytest.raises(Exception, match="closed"):
        await store.examples.export(ref, Split.TRAIN, file)
    assert [each.name for each in file.parent.iterdir()] == ["train.jsonl"]
    assert file.read_text() == "old"


async def test_every_statement_of_a_request_is_a_search_by_index(store: Store, call: Make, now: datetime) -> None:
    """So no request gets slower by the number of examples: asked of the database about the statements really sent."""
    sent: list[tuple[str, Any]] = []
    listen = (
        store._database._engine,  # type: ignore[attr-defined]
        "before_cursor_execute",
        lambda c, cur, sql, given, *rest: sent.append((sql, given)),
    )
    event.listen(*listen)
    await call("a").make(store)
    failed = call("b").intent
    await store.journal.intend(failed, now)
    await store.journal.failed(failed, "overloaded", now)
    await store.journal.intend(failed, now)
    copying = call("c", copy_of="r-a", schema_version=1, cached_since=now).intent
    await store.journal.intend(copying, now)
    await store.journal.unknown("tickets")
    await store.journal.unknowns("tickets")
    await store.journal.reconcile("tickets", "r-b", Decimal(1), now)
    await store.journal.served("tickets", "r-a")
    ref = await store.examples.snapshot("tickets", 1)
    assert len([each async for each in store.examples.read(ref, Split.TRAIN)]) == ref.train
    event.remove(*listen)

    reads = [(sql, given) for sql, given in sent if sql.startswith(("SELECT", "UPDATE"))]
    assert len(reads) >= 18
    for sql, given in reads:
        plan = await store._database.write(partial(explain, sql=sql, given=given))
        scans = [step for step in plan if "SCAN" in step.upper() or "SEARCH" in step.upper()]
        assert scans, (sql, plan)
        assert all(step.startswith("SEARCH") or "Index" in step for step in scans), (sql, plan)


def explain(connection: Connection, sql: str, given: Any) -> list[str]:
    if connection.dialect.name == "sqlite":
        return [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", given)]
    # Of a table with two rows PostgreSQL reads both, unless it is told not to.
    connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
    return [row[0] for row in connection.exec_driver_sql(f"EXPLAIN {sql}", given)]
