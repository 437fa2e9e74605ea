"""Group commit: shared transactions, private errors; and what an unusable store says."""

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event, text

from activities.store import Store, StoreError
from activities.store.database import Database
from activities.store.dialect import parse_url


@pytest.fixture
async def database(url: str) -> Any:
    database = await Database.open(parse_url(url))
    await database.write(lambda c: c.execute(text("CREATE TABLE marks (mark TEXT PRIMARY KEY)")))
    yield database
    await database.close()


def mark(name: str) -> Any:
    return lambda connection: connection.execute(text("INSERT INTO marks VALUES (:mark)"), {"mark": name}).rowcount


def marks(connection: Connection) -> set[str]:
    return set(connection.execute(text("SELECT mark FROM marks")).scalars())


def fail_after_writing(connection: Connection) -> None:
    mark("half")(connection)
    raise ZeroDivisionError("mine")


async def test_callers_that_wait_together_share_a_commit(database: Database) -> None:
    commits: list[Any] = []
    event.listen(database._engine, "commit", commits.append)
    await asyncio.gather(*(database.write(mark(f"m{n}")) for n in range(100)))
    assert len(commits) <= 3
    assert len(await database.read(marks)) == 100


async def test_one_callers_error_fails_nobody_else(database: Database) -> None:
    jobs = [mark("a"), fail_after_writing, mark("b"), mark("a"), mark("c")]
    outcomes = await asyncio.gather(*map(database.write, jobs), return_exceptions=True)
    assert [outcomes[n] for n in (0, 2, 4)] == [1, 1, 1]
    assert isinstance(outcomes[1], ZeroDivisionError)
    assert isinstance(outcomes[3], StoreError)
    assert await database.read(marks) == {"a", "b", "c"}


async def test_a_result_means_committed(database: Database, url: str) -> None:
    with sqlite3.connect(url.removeprefix("sqlite:///")) as other:
        for n in range(20):
            await database.write(mark(f"m{n}"))
            assert other.execute("SELECT count(*) FROM marks").fetchone() == (n + 1,)


async def test_a_cancelled_caller_leaves_the_others_alone(database: Database) -> None:
    tasks = [asyncio.create_task(database.write(mark(f"m{n}"))) for n in range(3)]
    await asyncio.sleep(0)
    tasks[1].cancel()
    done = await asyncio.gather(*tasks, return_exceptions=True)
    assert (done[0], done[2]) == (1, 1)
    assert isinstance(done[1], asyncio.CancelledError)
    assert {"m0", "m2"} <= await database.read(marks)


async def test_two_stores_on_one_file_wait_for_each_other(database: Database, url: str) -> None:
    other = await Database.open(parse_url(url))
    both = [(database, f"a{n}") for n in range(50)] + [(other, f"b{n}") for n in range(50)]
    assert await asyncio.gather(*(each.write(mark(name)) for each, name in both)) == [1] * 100
    assert len(await database.read(marks)) == 100
    await other.close()


async def test_closing_finishes_what_was_asked_and_refuses_more(url: str) -> None:
    database = await Database.open(parse_url(url))
    waiting = asyncio.create_task(database.write(lambda c: c.execute(text("CREATE TABLE late (x INT)")).rowcount))
    await asyncio.sleep(0)
    await database.close()
    await waiting
    await database.close()
    with pytest.raises(StoreError, match="closed"):
        await database.read(marks)
    with sqlite3.connect(url.removeprefix("sqlite:///")) as file:
        assert file.execute("SELECT count(*) FROM late").fetchone() == (0,)


async def test_an_error_of_the_database_never_shows_what_was_written(database: Database) -> None:
    await database.write(mark("private words"))
    with pytest.raises(StoreError) as caught:
        await database.write(mark("private words"))
    assert "private" not in str(caught.value)
    assert "UNIQUE" in str(caught.value)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("nonsense", "not a database URL"),
        ("sqlite://", "needs a file"),
        ("sqlite:///:memory:", "needs a file"),
        ("sqlite:////no/such/folder/x.db", "/no/such/folder/x.db: unable to open"),
        ("postgresql://ann:secret@db/x", "postgresql://ann:[*]+@db/x: only sqlite"),
    ],
)
async def test_a_store_that_cannot_be_opened_says_which_and_why(url: str, says: str) -> None:
    with pytest.raises(StoreError, match=says) as caught:
        await Store.open(url)
    assert "secret" not in str(caught.value)


async def test_a_file_that_is_no_database_is_refused_and_kept(tmp_path: Path) -> None:
    file = tmp_path / "notes.db"
    file.write_text("my notes, not a database at all " * 10)
    with pytest.raises(StoreError, match="not a database"):
        await Store.open(f"sqlite:///{file}")
    assert file.read_text().startswith("my notes")


async def test_a_store_of_another_schema_is_refused(store: Store, url: str) -> None:
    await store.close()
    with sqlite3.connect(url.removeprefix("sqlite:///")) as file:
        file.execute("UPDATE schema SET version = 99")
    with pytest.raises(StoreError, match="schema 99"):
        await Store.open(url)
