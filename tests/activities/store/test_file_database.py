"""SQLite: shared transactions, and a file that cannot be written for a while."""

import asyncio
import resource
import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text

from activities.store import Store, StoreError
from activities.store.file_database import FileDatabase
from activities.store.urls import parse_url
from tests.activities.store.test_database import mark, marks


@pytest.fixture
async def database(file_url: str) -> AsyncIterator[FileDatabase]:
    database = FileDatabase(parse_url(file_url))
    database.prepare()
    await database.write(lambda c: c.execute(text("CREATE TABLE marks (mark TEXT PRIMARY KEY)")))
    yield database
    await database.close()


async def test_callers_that_wait_together_share_a_commit(database: FileDatabase) -> None:
    commits: list[Any] = []
    event.listen(database._engine, "commit", commits.append)
    await asyncio.gather(*(database.write(mark(f"m{n}")) for n in range(100)))
    assert len(commits) <= 3
    assert len(await database.read(marks)) == 100


async def test_a_file_that_is_no_database_is_refused_and_kept(tmp_path: Path) -> None:
    file = tmp_path / "notes.db"
    file.write_text("my notes, not a database at all " * 10)
    with pytest.raises(StoreError, match="not a database"):
        await Store.open(f"sqlite:///{file}")
    assert file.read_text().startswith("my notes")


@contextmanager
def full_disk(file: Path) -> Iterator[None]:
    """No file of this process grows: the system refuses, as it does when the disk or a quota is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    wal = file.with_name(f"{file.name}-wal")
    resource.setrlimit(resource.RLIMIT_FSIZE, (wal.stat().st_size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_full_disk_is_an_error_until_there_is_room_again(
    file_url: str, call: Callable[..., Any], now: datetime
) -> None:
    file = Path(file_url.removeprefix("sqlite:///"))
    async with await Store.open(file_url) as store:
        await call("before").make(store)
        with full_disk(file):
            for n in range(3):
                outcomes = await asyncio.gather(
                    *(store.journal.intend(call(f"full{n}-{each}").intent, now) for each in range(5)),
                    return_exceptions=True,
                )
                assert {type(each) for each in outcomes} == {StoreError}
                assert "the store failed: " in str(outcomes[0])
            assert await store.journal.served("tickets", "r-before") is not None
        await asyncio.gather(*(call(f"after{n}").make(store) for n in range(5)))
        assert await store.journal.spend("tickets") == Decimal("0.006")
    with sqlite3.connect(file) as checked:
        assert checked.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    checked.close()


async def test_a_file_that_is_gone_for_a_while_is_an_error_until_it_is_back(file_url: str) -> None:
    """As with a share that was unmounted: nothing may be written to a new file in its place."""
    file, away = Path(file_url.removeprefix("sqlite:///")), Path(f"{file_url.removeprefix('sqlite:///')}.away")
    database = FileDatabase(parse_url(file_url))
    database.prepare()
    shutil.move(file, away)
    for _ in range(2):
        with pytest.raises(StoreError, match="unable to open"):
            await database.write(lambda c: c.execute(text("CREATE TABLE lost (x INT)")))
    with pytest.raises(FileNotFoundError):
        shutil.copy(file, away)
    shutil.move(away, file)
    await database.write(lambda c: c.execute(text("CREATE TABLE kept (x INT)")))
    await database.close()
