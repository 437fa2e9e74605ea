"""A store moves between databases whole, or not at all."""

import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from activities.store import Store, StoreError, Unknown
from activities.store.copying import copy_store
from activities.store.urls import parse_url
from apprentice.messages import Comparison, Split, VersionStatus
from tests.activities.store.conftest import labelled
from tests.activities.store.test_records import SETTINGS

Make = Callable[..., Any]


async def fill(store: Store, call: Make, now: datetime, requests: int = 30) -> None:
    await store.settings.put(SETTINGS)
    for n in range(requests):
        await call(f"t{n} grüße ✓", cost="0.000000001").make(store)
    await store.journal.intend(call("doubt").intent, now)
    await store.comparisons.record("tickets", "r-1", Comparison(score=0.1 + 0.2, propensity=1 / 3, version=1), now)
    await store.feedback.give(labelled(call("t3 grüße ✓"), {"category": "c1", "note": "ø"}), now)
    values = {"version": 1, "state": "promoted", "reason": "better", "train": 9, "holdout": 2, "at": now}
    await store.versions.put("tickets", VersionStatus.model_validate(values))


async def everything(store: Store) -> dict[str, Any]:
    ref = await store.examples.snapshot("tickets", 1)
    return {
        "settings": await store.settings.get(SETTINGS.digest),
        "served": [await store.journal.served("tickets", f"r-t{n} grüße ✓") for n in range(30)],
        "unknown": await store.journal.unknowns("tickets"),
        "spend": await store.journal.spend("tickets"),
        "ref": ref,
        "examples": [[each async for each in store.examples.read(ref, split)] for split in Split],
        "labels": await store.feedback.labellings("tickets", 1),
        "versions": await store.versions.all("tickets"),
        "comparisons": await store._database.read(
            lambda c: [tuple(row) for row in c.execute(text("SELECT score, propensity, confidence FROM comparisons"))]
        ),
    }


@pytest.fixture(params=["sqlite to postgresql", "postgresql to sqlite", "sqlite to sqlite"])
def places(request: pytest.FixtureRequest, file_url: str, tmp_path: Path) -> tuple[str, str]:
    """The store's URL and that of an empty database."""
    if request.param == "sqlite to sqlite":
        return file_url, f"sqlite:///{tmp_path}/other.db"
    server: str = request.getfixturevalue("postgres_url")
    return (file_url, server) if request.param.startswith("sqlite") else (server, file_url)


async def test_a_store_arrives_as_it_was_and_goes_on(places: tuple[str, str], call: Make, now: datetime) -> None:
    source, target = places
    async with await Store.open(source) as store:
        await fill(store, call, now)
        before = await everything(store)
        # The newest example is erased: its number must not be given to another one.
        await store._database.write(lambda c: c.execute(text("DELETE FROM examples WHERE id = 30")))
        before["examples"] = (await everything(store))["examples"]

    reported: list[tuple[str, int, int]] = []
    moved = copy_store(parse_url(source), parse_url(target), lambda *each: reported.append(each))

    assert moved.rows == {
        "amendments": 1,
        "batch_items": 0,
        "feedback": 1,
        "settings": 1,
        "calls": 31,
        "examples": 29,
        "datasets": 1,
        "comparisons": 1,
        "versions": 1,
        "opinions": 0,
        "paces": 0,
    }
    assert (moved.settled, moved.unknown) == (Decimal("0.000000030"), Decimal("0.01"))
    assert ("calls", 31, 31) in reported
    async with await Store.open(target) as store:
        assert await everything(store) == before
        await call("first there").make(store)
        assert (await store.examples.snapshot("tickets", 1)).last_id == 31
        assert await store.journal.unknown("tickets") == Unknown(1, Decimal("0.01"))
    async with await Store.open(source) as store:
        assert await everything(store) == before


async def test_a_target_that_is_not_empty_is_refused_and_kept(
    places: tuple[str, str], call: Make, now: datetime
) -> None:
    for url in places:
        async with await Store.open(url) as store:
            await call(f"one of {url[:6]}").make(store)
    with pytest.raises(StoreError, match="is not empty: its table calls has rows"):
        copy_store(parse_url(places[0]), parse_url(places[1]))
    async with await Store.open(places[1]) as store:
        assert await store.journal.spend("tickets") == Decimal("0.001")


@pytest.mark.parametrize("which", [0, 1])
async def test_a_database_that_workers_use_is_refused(
    places: tuple[str, str], call: Make, now: datetime, which: int
) -> None:
    async with await Store.open(places[0]) as store:
        await call("a").make(store)
    async with await Store.open(places[which]) as store:
        assert await store.journal.served("tickets", "r-b") is None
        with pytest.raises(StoreError, match="stop all workers first") as caught:
            copy_store(parse_url(places[0]), parse_url(places[1]))
        assert ("the target" in str(caught.value)) is (which == 1)


async def test_a_store_is_not_copied_onto_itself(url: str) -> None:
    with pytest.raises(StoreError, match="there already"):
        copy_store(parse_url(url), parse_url(url))


async def test_a_store_that_is_not_there_is_no_empty_store(tmp_path: Path) -> None:
    gone = parse_url(f"sqlite:///{tmp_path}/gone.db")
    with pytest.raises(StoreError, match=r"cannot use the store sqlite:////.*gone.db: unable to open"):
        copy_store(gone, parse_url(f"sqlite:///{tmp_path}/new.db"))
    assert not list(tmp_path.iterdir())  # noqa: ASYNC240


SLOW_COPY = """
import sys, time
from activities.store import copying
from activities.store.urls import parse_url

copying.BATCH = 5

def report(table, done, total):
    print(table, done, flush=True)
    time.sleep(0.05)

copying.copy_store(parse_url(sys.argv[1]), parse_url(sys.argv[2]), report)
"""


@pytest.mark.crash
async def test_kill_9_in_the_middle_leaves_the_store_whole_and_the_target_empty(
    places: tuple[str, str], call: Make, now: datetime
) -> None:
    source, target = places
    async with await Store.open(source) as store:
        await fill(store, call, now)
        before = await everything(store)
    command = [sys.executable, "-c", SLOW_COPY, source, target]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: ASYNC220
        assert process.stdout is not None
        while process.stdout.readline() != "calls 15\n":
            assert process.poll() is None
        process.send_signal(signal.SIGKILL)
    assert copy_store(parse_url(source), parse_url(target)).rows["calls"] == 31
    for url in places:
        async with await Store.open(url) as store:
            assert await everything(store) == before
