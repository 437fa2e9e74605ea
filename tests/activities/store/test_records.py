"""Settings, comparisons, versions."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import select

from activities.store import SettingsUnknown, Store
from activities.store.tables import comparisons
from apprentice.messages import Comparison, VersionStatus
from apprentice.settings import RemoteSettings, TaskSettings

SETTINGS = TaskSettings(
    name="tickets",
    input_schema={"text": "str"},
    output_schema={"category": ["a", "b"]},
    remote=RemoteSettings(provider="simulated", model="teacher"),
)


async def test_settings_come_back_under_their_digest_after_a_new_start(store: Store, url: str) -> None:
    digest = await store.settings.put(SETTINGS)
    assert digest == await store.settings.put(SETTINGS) == SETTINGS.digest
    await store.close()
    async with await Store.open(url) as again:
        assert await again.settings.get(digest) == SETTINGS
        assert (await again.settings.get(digest)).digest == digest


async def test_unknown_settings_name_the_digest(store: Store) -> None:
    with pytest.raises(SettingsUnknown, match="feedfeedfeedfeed"):
        await store.settings.get("feedfeedfeedfeed")


async def test_a_request_has_one_comparison(store: Store, now: datetime) -> None:
    comparison = Comparison(score=0.75, propensity=0.1, confidence=None, version=2)
    assert await store.comparisons.record("tickets", "r-1", comparison, now)
    assert not await store.comparisons.record("tickets", "r-1", comparison.model_copy(update={"score": 0.0}), now)
    assert await store.comparisons.record("other", "r-1", comparison, now, {"category": "said"})
    rows = await store._database.read(lambda c: c.execute(select(comparisons).order_by(comparisons.c.task)).all())
    kept = {"other": {"category": "said"}, "tickets": None}
    assert [tuple(row) for row in rows] == [(task, "r-1", 2, 0.75, 0.1, None, now, kept[task]) for task in kept]


async def test_times_are_utc_and_never_naive(store: Store) -> None:
    comparison = Comparison(score=1.0, version=1)
    ahead = datetime(2026, 1, 1, 1, 30, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    await store.comparisons.record("tickets", "r-1", comparison, ahead)
    stored = await store._database.read(lambda c: c.execute(select(comparisons.c.created_at)).scalar_one())
    assert (stored, stored.tzinfo) == (ahead, UTC)
    with pytest.raises(Exception, match="without a zone"):
        await store.comparisons.record("tickets", "r-2", comparison, datetime(2026, 1, 1))


async def test_the_newest_status_of_each_version_is_listed_in_order(store: Store, now: datetime) -> None:
    def status(version: int, **changes: Any) -> VersionStatus:
        values = {"state": "promoted", "reason": "better", "train": 9, "holdout": 2, "holdout_mean": 0.9}
        return VersionStatus.model_validate({"version": version, "at": now} | values | changes)

    for each in (status(2), status(10), status(1), status(2, state="retired", reason="replaced")):
        await store.versions.put("tickets", each)
    await store.versions.put("other", status(7))
    assert await store.versions.all("tickets") == [status(1), status(2, state="retired", reason="replaced"), status(10)]
