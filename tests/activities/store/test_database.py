"""What every database of the store does: results after commits, private errors; and what an unusable one says."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import Connection, text

from activities.store import Store, StoreError
from activities.store.database import Database, open_database
from activities.store.urls import parse_url


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    database = await open_database(parse_url(url))
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


async def test_one_callers_error_fails_nobody_else(database: Database) -> None:
    jobs = [mark("a"), fail_after_writing, mark("b"), mark("c")]
    outcomes = await asyncio.gather(*map(database.write, jobs), return_exceptions=True)
    assert [outcomes[n] for n in (0, 2, 3)] == [1, 1, 1]
    assert isinstance(outcomes[1], ZeroDivisionError)
    taken = await asyncio.gather(*map(database.write, [mark("d"), mark("a"), mark("e")]), return_exceptions=True)
    assert (taken[0], taken[2]) == (1, 1)
    assert isinstance(taken[1], StoreError)
    assert await database.read(marks) == {"a", "b", "c", "d", "e"}


async def test_a_result_means_committed(database: Database, url: str) -> None:
    other = await open_database(parse_url(url))
    for n in range(20):
        await database.write(mark(f"m{n}"))
        assert len(await other.read_bulk(marks)) == n + 1
    await other.close()


async def test_a_cancelled_caller_leaves_the_others_alone(database: Database) -> None:
    tasks = [asyncio.create_task(database.write(mark(f"m{n}"))) for n in range(3)]
    await asyncio.sleep(0)
    tasks[1].cancel()
    done = await asyncio.gather(*tasks, return_exceptions=True)
    assert (done[0], done[2]) == (1, 1)
    assert isinstance(done[1], asyncio.CancelledError)
    assert {"m0", "m2"} <= await database.read(marks)


async def test_two_stores_on_one_database_wait_for_each_other(database: Database, url: str) -> None:
    other = await open_database(parse_url(url))
    both = [(database, f"a{n}") for n in range(50)] + [(other, f"b{n}") for n in range(50)]
    assert await asyncio.gather(*(each.write(mark(name)) for each, name in both)) == [1] * 100
    assert len(await database.read(marks)) == 100
    await other.close()


async def test_closing_finishes_what_was_asked_and_refuses_more(url: str) -> None:
    database = await open_database(parse_url(url))
    waiting = asyncio.create_task(database.write(lambda c: c.execute(text("CREATE TABLE late (x INT)")).rowcount))
    await asyncio.sleep(0)
    await database.close()
    await waiting
    await database.close()
    with pytest.raises(StoreError, match="closed"):
        await database.read(marks)
    again = await open_database(parse_url(url))
    assert await again.read(lambda c: c.execute(text("SELECT count(*) FROM late")).scalar()) == 0
    await again.close()


async def test_an_error_of_the_database_never_shows_what_was_written(database: Database) -> None:
    await database.write(mark("private words"))
    with pytest.raises(StoreError) as caught:
        await database.write(mark("private words"))
    assert "private" not in str(caught.value)
    assert "unique" in str(caught.value).lower()


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("nonsense", "not a database URL"),
        ("sqlite://", "needs a file"),
        ("sqlite:///:memory:", "needs a file"),
        ("sqlite:////no/such/folder/x.db", "/no/such/folder/x.db: unable to open"),
        ("mysql://ann:secret@db/x", "mysql://ann:[*]+@db/x: only sqlite"),
        ("postgresql://ann:secret@db", "name the database"),
        ("postgresql://ann:secret@127.0.0.1:1/x?password=secret", r"ann:[*]+@127.0.0.1:1/x: .*[Cc]onnection refused"),
        ("postgres://ann:secret@no.such.host.invalid/x", r"ann:[*]+@no.such.host.invalid/x: "),
    ],
)
async def test_a_store_that_cannot_be_opened_says_which_and_why(url: str, says: str) -> None:
    with pytest.raises(StoreError, match=says) as caught:
        await Store.open(url)
    assert "secret" not in str(caught.value)
