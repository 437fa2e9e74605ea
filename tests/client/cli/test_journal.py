"""`simulate --from-journal`: what another policy would have cost and served, from a store that a life has filled."""

import asyncio
import hashlib
import json
import random
import shutil
import sqlite3
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from activities.store import Example, Intent, Store
from activities.store.remembering import remembered
from apprentice.messages import Answer, Comparison, RouteReason, Source, Split, VersionStatus
from apprentice.whatif import Log, Logged
from tests.apprentice.whatif.world import INPUT, World, live, settings
from tests.client.cli.conftest import Cli

CONFIG = """\
tasks:
  - name: tickets
    input_schema: {text: str}
    output_schema: {category: str}
    confidence_thresholds: {phase2_to_phase3: 0.8, coaching_trigger: 0.6, emergency_threshold: 0.5}
    remote: {provider: simulated, model: m, price: {per_request: 1}}
  - {name: letters, input_schema: {text: str}, output_schema: {category: str}}
remote: {provider: simulated, model: teacher, price: {input_per_million: 1}}
store: {url: "sqlite:///store.db"}
"""
STRICTER = ("--set", "confidence_thresholds.phase2_to_phase3=0.97")


async def write(store: Store, number: int, one: Logged) -> None:
    """A request as the activities leave it behind."""
    request_id, hashed = f"r-{number}", hashlib.sha256(str(number).encode()).hexdigest()
    if one.local:
        answer = Answer(source=Source.LOCAL, output={}, model="l", version=one.version, confidence=one.confidence)
        where = ("tickets", request_id, hashed, answer, False, one.at, "first")
        await store.journal.served_locally(*where, reason=RouteReason.AUTONOMOUS.value, propensity=one.chance)
        return
    intent = Intent(
        task="tickets",
        request_id=request_id,
        input_hash=hashed,
        admission="first",
        provider="simulated",
        model="m",
        idempotency_key=f"key-{number}",
        upper_bound=Decimal(1),
        schema_version=1,
        reason=RouteReason.COACHING.value,
        propensity=one.chance,
    )
    answer = Answer(source=Source.REMOTE, output={"category": "a"}, model="m", cost=one.cost or Decimal(0))
    example = Example("tickets", 1, request_id, hashed, Split.TRAIN, INPUT, {"category": "a"}, "simulated", "m", one.at)
    await store.journal.intend(intent, one.at)
    await store.journal.answered(intent, answer, example, one.at)
    if one.score is not None and one.version is not None and one.chance:
        compared = Comparison(score=one.score, propensity=one.chance, confidence=one.confidence, version=one.version)
        await store.comparisons.record("tickets", request_id, compared, one.at)


async def fill(file: Path, log: Log) -> None:
    async with await Store.open(f"sqlite:///{file}") as store:
        await asyncio.gather(*(write(store, number, one) for number, one in enumerate(log.requests)))
        for version, (count, mean) in log.holdouts.items():
            status = VersionStatus(
                version=version,
                state="promoted",
                reason="good",
                at=log.requests[0].at,
                train=50,
                holdout=count,
                holdout_mean=mean,
            )
            await store.versions.put("tickets", status)


@pytest.fixture(scope="module")
def lived() -> Log:
    return live(settings(), World.of(300, 3), random.Random(1))


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory, lived: Log) -> Path:
    file = tmp_path_factory.mktemp("filled") / "store.db"
    asyncio.run(fill(file, lived))
    return file


@pytest.fixture
def place(tmp_path: Path, filled: Path) -> Path:
    (tmp_path / "apprentice.yaml").write_text(CONFIG)
    shutil.copy(filled, tmp_path / "store.db")
    return tmp_path


def test_the_store_remembers_a_life_as_it_was(place: Path, lived: Log) -> None:
    memory = remembered(f"sqlite:///{place}/store.db", "tickets")
    assert list(memory.log.requests) == list(lived.requests)
    assert memory.log.holdouts == lived.holdouts
    assert memory.input == INPUT


def document(cli: Cli, *arguments: str) -> dict[str, Any]:
    done = cli("simulate", "--from-journal", "tickets", "--json", *arguments)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_another_policy_is_put_beside_the_one_that_ran_and_nothing_is_written(
    cli: Cli, place: Path, lived: Log
) -> None:
    before = (place / "store.db").read_bytes()
    found = document(cli, *STRICTER)
    assert found == document(cli, *STRICTER)
    assert found["set"] == {"confidence_thresholds.phase2_to_phase3": "0.97"}
    local = sum(one.local for one in lived.requests)
    assert found["logged"]["local_share"] == pytest.approx(local / 300)
    assert found["logged"]["remote_calls"]["mean"] == 300 - local
    assert found["what_if"]["local_share"] == 0
    assert found["what_if"]["remote_calls"]["mean"] == 300
    assert found["what_if"]["cost"]["low"] < found["what_if"]["cost"]["mean"] < found["what_if"]["cost"]["high"]
    assert found["logged"]["agreement"]["low"] < found["logged"]["agreement"]["mean"] < 1
    assert found["logged"]["unsupported"] == 0
    shown = cli("simulate", "--from-journal", "tickets", *STRICTER)
    for words in ("as it was", "what if", "remote calls", "cost", "agreement", "not supported", "300 requests"):
        assert words in shown.stdout
    assert "versions are those that were trained" in shown.stderr
    assert (place / "store.db").read_bytes() == before


def test_a_store_of_the_release_before_is_read_as_it_is(cli: Cli, place: Path) -> None:
    with sqlite3.connect(place / "store.db") as file:
        file.execute("ALTER TABLE calls DROP COLUMN reason")
        file.execute("ALTER TABLE calls DROP COLUMN propensity")
        file.execute("ALTER TABLE comparisons DROP COLUMN local")
        file.execute("ALTER TABLE datasets DROP COLUMN last_amendment")
        file.execute("DROP TABLE amendments")
        file.execute("DROP TABLE feedback")
        file.execute("UPDATE schema SET version = 4")
    file.close()
    found = document(cli, *STRICTER)
    assert found["logged"]["agreement"]["mean"] < 1
    with sqlite3.connect(place / "store.db") as file:
        assert file.execute("SELECT version FROM schema").fetchall() == [(4,)]
    file.close()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("tickts",), "unknown task 'tickts'; did you mean `tickets`?"),
        (("letters",), "remembers no request of task 'letters'"),
        (("tickets", "traffic.jsonl"), "leave traffic.jsonl out"),
        (("tickets", "--plot", "a.svg"), "--plot goes with TRAFFIC.jsonl"),
        (("tickets", "--set", "sampling.min_flor=0.1"), "--set sampling.min_flor: unknown key"),
        (("tickets", "--set", "sampling.min_floor=2"), "--set sampling.min_floor: "),
        (("tickets", "--set", "remote.model=other"), "--set remote.model: the journal holds answers"),
    ],
)
def test_what_cannot_be_answered_is_one_clear_error(
    cli: Cli, place: Path, arguments: tuple[str, ...], words: str
) -> None:
    done = cli("simulate", "--from-journal", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_without_a_store_or_traffic_the_way_is_said(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "apprentice.yaml").write_text(CONFIG)
    done = cli("simulate", "--from-journal", "tickets")
    assert done.returncode == 2
    assert "there is no store" in done.stderr
    assert not (tmp_path / "store.db").exists()
    done = cli("simulate", "tickets")
    assert done.returncode == 2
    assert "--from-journal" in done.stderr
