"""Tables are made and upgraded when a store is opened: by one of many, all or nothing."""

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection, insert, text

from activities.store import CallState, Store, StoreError, examples, migrating, tables
from activities.store.engines import WRITES, open_file
from activities.store.tables import SCHEMA, metadata
from activities.store.urls import parse_url
from apprentice.messages import DatasetRef, Split

# What 0.1.0 sent to SQLite for a new store, and the rows of one answered request and one whose outcome is unknown.
RELEASE_0_1_0 = (Path(__file__).parent / "release_0_1_0.sql").read_text()


@pytest.fixture
def old_file(tmp_path: Path) -> Path:
    file = tmp_path / "store.db"
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(RELEASE_0_1_0)
    connection.close()
    return file


async def test_a_store_of_0_1_0_is_upgraded_in_place_and_loses_nothing(
    old_file: Path, call: Callable[..., Any], now: datetime
) -> None:
    async with await Store.open(f"sqlite:///{old_file}") as store:
        served = await store.journal.served("tickets", "r-a")
        assert served is not None
        assert served.answer == call("a").answer
        assert [each.request_id for each in await store.journal.unknowns("tickets")] == ["r-b"]
        assert await store.journal.spend("tickets") == Decimal("0.011")
        ref = await store.examples.snapshot("tickets", 1)
        assert ref == DatasetRef(task="tickets", schema_version=1, last_id=1, train=1, holdout=0)
        assert [each async for each in store.examples.read(ref, Split.TRAIN)] == [call("a").example]
        copied = await store.journal.intend(call("a", request_id="r-new", copy_of="r-a").intent, now)
        assert copied.state is CallState.ANSWERED
        assert (await call("c").make(store)).example is not None


def differences(connection: Connection) -> list[Any]:
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return [each for each in compare_metadata(context, metadata) if "alembic_version" not in str(each)]


async def test_the_steps_end_at_the_tables_that_the_program_uses(store: Store) -> None:
    assert await store._database.write(differences) == []
    assert await store._database.read(lambda c: c.execute(text("SELECT version FROM schema")).scalars().all()) == [
        SCHEMA
    ]


async def test_an_upgraded_store_has_the_same_tables_as_a_new_one(old_file: Path) -> None:
    async with await Store.open(f"sqlite:///{old_file}") as store:
        assert await store._database.write(differences) == []


OPEN = """
import asyncio, sys
from activities.store import Store

async def main():
    print("ready", flush=True)
    sys.stdin.readline()
    async with await Store.open(sys.argv[1]) as store:
        print((await store.journal.unknown("tickets")).calls, flush=True)

asyncio.run(main())
"""


async def open_together(url: str, processes: int) -> list[str]:
    command = [sys.executable, "-c", OPEN, url]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    starting: list[Any] = [subprocess.Popen(command, **pipes) for _ in range(processes)]  # noqa: ASYNC220
    for each in starting:
        assert each.stdout.readline() == "ready\n"
    for each in starting:
        each.stdin.write("go\n")
        each.stdin.flush()
    said = [(await asyncio.to_thread(each.communicate))[0] for each in starting]
    assert [each.returncode for each in starting] == [0] * processes
    return said


@pytest.mark.slow
async def test_workers_that_start_together_on_a_new_store_make_it_once(url: str) -> None:
    assert await open_together(url, 3) == ["0\n"] * 3


@pytest.mark.slow
async def test_workers_that_start_together_on_an_old_store_upgrade_it_once(old_file: Path) -> None:
    assert await open_together(f"sqlite:///{old_file}", 3) == ["1\n"] * 3


async def test_a_step_that_fails_leaves_the_old_store_as_it_was(old_file: Path) -> None:
    with sqlite3.connect(old_file) as file:
        file.execute("CREATE INDEX comparisons_by_age ON comparisons (version)")  # in the way of the last step
        before = set(file.execute("SELECT sql FROM sqlite_master"))
    with pytest.raises(StoreError, match="comparisons_by_age already exists"):
        await Store.open(f"sqlite:///{old_file}")
    with sqlite3.connect(old_file) as file:
        assert set(file.execute("SELECT sql FROM sqlite_master")) == before
        file.execute("DROP INDEX comparisons_by_age")
    file.close()
    async with await Store.open(f"sqlite:///{old_file}") as store:
        assert (await store.journal.unknown("tickets")).calls == 1


async def test_a_store_newer_than_the_program_is_refused_and_kept(store: Store, url: str) -> None:
    await store._database.write(lambda c: c.execute(text("UPDATE schema SET version = 99")))
    await store.close()
    with pytest.raises(StoreError, match=f"schema 99, this program knows schemas up to {SCHEMA}.*newer"):
        await Store.open(url)


def to_schema_4(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(migrating._FOLDER))
    config.attributes["connection"] = connection
    command.upgrade(config, "4")


async def test_what_teachers_disagreed_on_before_is_disputed_after_the_upgrade(
    tmp_path: Path, call: Callable[..., Any], now: datetime
) -> None:
    file = tmp_path / "store.db"
    engine = open_file(parse_url(f"sqlite:///{file}"), create=True)
    with engine.connect().execution_options(**{WRITES: True}) as connection, connection.begin():
        to_schema_4(connection)
        for number, score in enumerate((0.0, 1.0, 0.25)):
            one = call(f"t{number}").example
            row = examples._row(replace(one, split=Split.TRAIN))
            connection.execute(insert(tables.examples), row)
            key = {"task": "tickets", "request_id": one.request_id, "first": "a b", "second": "c d"}
            connection.execute(insert(tables.opinions), key | {"score": score, "created_at": now})
        connection.execute(text("INSERT INTO datasets VALUES ('tickets', 1, 3, 3, 0)"))
    engine.dispose()
    async with await Store.open(f"sqlite:///{file}") as store:
        ref = await store.examples.snapshot("tickets", 1, leave_out_disputed=True)
        assert (ref.last_amendment, ref.train, ref.left_out) == (2, 1, 2)
        assert [one.input async for one in store.examples.read(ref, Split.TRAIN)] == [{"text": "t1"}]
