"""SQLite: shared transactions, and a file that cannot be written for a while."""

import asyncio
from collections.abc import AsyncIterator
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
