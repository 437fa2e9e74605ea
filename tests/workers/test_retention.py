import asyncio
import os
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from activities.store import Store, StoreError
from apprentice.config import ConfigError, load
from apprentice.messages import Answer, Source
from workers.retention import forgetting

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
LOCAL = Answer(source=Source.LOCAL, output={"category": "c"}, model="embedded", version=1)


async def answered(store: Store, request_id: str, at: datetime) -> None:
    await store.journal.served_locally("tickets", request_id, "hash", LOCAL, False, at, "first")


async def known(store: Store) -> set[str]:
    names = ("old", "older", "young")
    return {name for name in names if await store.journal.served("tickets", name) is not None}


async def gone(store: Store, name: str) -> None:
    while name in await known(store):  # noqa: ASYNC110
        await asyncio.sleep(0.005)


async def test_a_worker_forgets_what_is_too_old_again_and_again(tmp_path: Path) -> None:
    async with await Store.open(f"sqlite:///{tmp_path}/store.db") as store:
        await answered(store, "old", NOW - 3 * DAY)
        await answered(store, "young", NOW - DAY)
        async with forgetting(store, 2 * DAY, lambda: NOW, timedelta(milliseconds=5)), asyncio.timeout(10):
            await gone(store, "old")
            await answered(store, "older", NOW - 9 * DAY)
            await gone(store, "older")
        assert await known(store) == {"young"}


async def test_without_a_retention_everything_is_kept(tmp_path: Path) -> None:
    async with await Store.open(f"sqlite:///{tmp_path}/store.db") as store:
        await answered(store, "old", NOW - 4000 * DAY)
        async with forgetting(store, None, lambda: NOW, timedelta(milliseconds=1)):
            await asyncio.sleep(0.05)
        assert await known(store) == {"old"}


async def test_a_store_that_fails_is_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with await Store.open(f"sqlite:///{tmp_path}/store.db") as store:
        await answered(store, "old", NOW - 3 * DAY)
        forget = store.journal.forget
        asked: list[datetime] = []

        async def failing_once(before: datetime) -> int:
            asked.append(before)
            if len(asked) == 1:
                raise StoreError("the disk is full")
            return await forget(before)

        monkeypatch.setattr(store.journal, "forget", failing_once)
        async with forgetting(store, DAY, lambda: NOW, timedelta(milliseconds=5)), asyncio.timeout(10):
            await gone(store, "old")
        assert set(asked) == {NOW - DAY}
        assert await store.journal.spend("tickets") == Decimal(0)


def config(folder: Path, retention: str) -> Path:
    file = folder / "apprentice.yaml"
    file.write_text(
        f"store: {{retention: {retention}}}\n"
        "remote: {provider: simulated, model: gpt-4o-mini}\n"
        "tasks:\n"
        "  - name: tickets\n"
        "    input_schema: {text: str}\n"
        "    output_schema: {category: [a, b]}\n"
    )
    return file


def test_retention_is_a_setting(tmp_path: Path) -> None:
    assert load(config(tmp_path, "30d"), os.environ).store.retention == 30 * DAY
    assert load(config(tmp_path, "null"), os.environ).store.retention is None
    with pytest.raises(ConfigError, match="retention"):
        load(config(tmp_path, "12h"), os.environ)
