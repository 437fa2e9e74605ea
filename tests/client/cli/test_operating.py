"""Operators at work: caps, freezes, schema versions, the end of a task. In a namespace of their own."""

import asyncio
import json
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from google.protobuf.duration_pb2 import Duration
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest

from activities.store import Intent, Store
from apprentice.config import load
from apprentice.messages import SetCaps
from apprentice.settings import BudgetSettings
from client import BlockingApprentice, UnknownTask
from tests.activities.store.conftest import make_call
from tests.client.cli.place import Place, eventually, place_of
from tests.conftest import DevEnv

BUDGET = "budget: {daily: 10, weekly: 50}\n"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def namespace(dev_env: DevEnv) -> str:
    """There is one budget for all tasks of a namespace."""
    name = f"operators-{uuid4().hex[:8]}"
    period = Duration()
    period.FromTimedelta(timedelta(days=1))
    request = RegisterNamespaceRequest(namespace=name, workflow_execution_retention_period=period)
    await dev_env.client.workflow_service.register_namespace(request)
    return name


@pytest.fixture(scope="module")
def place(dev_env: DevEnv, namespace: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A task with a worker, drawing from a budget."""
    made = place_of(dev_env, tmp_path_factory.mktemp("operators"), latency=0)
    place = Place(made.folder, made.environ | {"TEMPORAL_NAMESPACE": namespace}, made.task)
    edit(place, "\ntemporal:", f"\n{BUDGET}temporal:")
    eventually(lambda: place.cli("status").returncode == 0)
    worker = place.start("worker")
    assert worker.stdout is not None
    assert "Ctrl-C stops it" in worker.stdout.readline()
    yield place
    worker.send_signal(signal.SIGTERM)
    worker.communicate(timeout=30)
    assert worker.returncode == 0


def edit(place: Place, old: str, new: str) -> None:
    file = place.folder / "apprentice.yaml"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))


def document(place: Place, *arguments: object) -> dict[str, Any]:
    done = place.cli(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def caps(place: Place) -> dict[str, Decimal]:
    return {cap["period"]: Decimal(cap["cap"]) for cap in document(place, "budget")["caps"]}


def test_a_budget_from_its_beginning_to_its_end(place: Place) -> None:
    nobody = place.cli("budget")
    assert (nobody.returncode, nobody.stdout) == (2, "")
    assert "set a cap under `budget`" in nobody.stderr

    applied = document(place, "apply")
    assert (applied["budget"], applied["started"]) == ("started", [place.task])
    assert place.cli("run", place.task, "--input", '{"text": "hello"}').returncode == 0
    status = document(place, "budget")
    daily = status["caps"][0]
    assert Decimal(daily["free"]) == 10 - Decimal(daily["reserved"]) - Decimal(daily["settled"]) < 10
    assert list(status["leases"]) == [place.task]
    shown = place.cli("budget").stdout
    assert "who holds what" in shown
    assert place.task in shown
    assert "of all tasks' budget" in place.cli("status", place.task).stdout

    assert "until the next `apprentice apply`" in place.cli("budget", "set", "--daily", "20").stderr
    assert caps(place) == {"daily": 20, "weekly": 50}
    document(place, "budget", "set", "--weekly", "none", "--monthly", "70.5")
    assert caps(place) == {"daily": 20, "monthly": Decimal("70.5")}
    assert document(place, "apply")["budget"] == "updated"
    assert caps(place) == {"daily": 10, "weekly": 50}

    assert document(place, "budget", "freeze")["frozen"] is True
    assert document(place, "apply")["budget"] == "updated"
    assert "frozen: no paid call is made" in place.cli("budget").stdout
    refused = place.cli("run", place.task, "--input", '{"text": "frozen"}')
    assert (refused.returncode, refused.stdout) == (1, "")
    assert document(place, "budget", "unfreeze")["frozen"] is False
    assert place.cli("run", place.task, "--input", '{"text": "frozen"}').returncode == 0

    edit(place, BUDGET, "")
    assert document(place, "apply")["budget"] is None
    assert caps(place) == {}
    eventually(lambda: document(place, "budget")["leases"] == {})
    assert document(place, "status", place.task)["lease"] is None


def test_a_task_has_caps_and_a_freeze_of_its_own(place: Place) -> None:
    document(place, "apply")
    shown = place.cli("budget", "set", place.task, "--daily", "3")
    assert f"own caps of {place.task}" in shown.stdout
    assert [cap["cap"] for cap in place.status()["caps"]] == ["3"]
    document(place, "apply")
    assert place.status()["caps"] == []
    assert document(place, "budget", "freeze", place.task)["frozen"] is True
    document(place, "apply")
    assert "no paid call is made until" in place.cli("status", place.task).stdout
    refused = place.cli("run", place.task, "--input", '{"text": "own freeze"}')
    assert (refused.returncode, "frozen" in refused.stderr) == (1, True)
    document(place, "budget", "unfreeze", place.task)
    assert place.cli("run", place.task, "--input", '{"text": "own freeze"}').returncode == 0
    assert place.cli("budget", "freeze", "nobody").returncode == 2


def test_a_changed_schema_starts_a_new_version_only_when_told_to(place: Place) -> None:
    document(place, "apply")
    edit(place, "billing, shipping, account", "billing, shipping")
    refused = place.cli("apply")
    assert refused.returncode == 2
    assert "apprentice apply --new-version" in refused.stderr
    done = document(place, "apply", "--new-version", place.task)
    assert (done["updated"], done["schema_versions"]) == ([place.task], {place.task: 2})
    assert place.cli("apply", "--new-version").stdout == f"updated {place.task}: schema version 2\n"
    assert place.status()["schema_version"] == 2
    assert "version 2" in place.cli("status", place.task).stdout
    assert place.cli("run", place.task, "--input", '{"text": "anew"}').returncode == 0


def test_a_call_in_doubt_is_listed_until_it_is_reconciled(place: Place) -> None:
    document(place, "apply")
    asyncio.run(leave_in_doubt(place, make_call("doubt", task=place.task).intent))
    (call,) = document(place, "unknown", place.task)["calls"]
    assert (call["request_id"], call["upper_bound"]) == ("r-doubt", "0.01")
    done = place.cli("reconcile", place.task, "r-doubt", "--cost", "0.004")
    assert done.stdout.startswith(f"{place.task}: r-doubt is settled at 0.004 USD"), done.stderr
    assert document(place, "unknown")["calls"] == []


def test_a_call_that_is_not_in_doubt_cannot_be_reconciled(place: Place) -> None:
    document(place, "apply")
    done = place.cli("reconcile", place.task, "never-sent", "--cost", "0.01")
    assert (done.returncode, done.stdout) == (2, "")
    assert "never-sent" in done.stderr
    assert "Traceback" not in done.stderr


async def leave_in_doubt(place: Place, intent: Intent) -> None:
    async with await Store.open(f"sqlite:///{place.folder}/apprentice.db") as store:
        await store.journal.intend(intent, datetime.now(UTC))


def test_a_retired_task_is_gone_and_comes_back_where_it_was(place: Place) -> None:
    document(place, "apply")
    assert place.cli("run", place.task, "--input", '{"text": "before"}').returncode == 0
    before = place.status()
    assert place.cli("retire", place.task).returncode == 2
    assert document(place, "retire", place.task, "--yes")["retired"] is True
    assert place.cli("status", place.task).returncode == 2
    assert place.cli("run", place.task, "--input", '{"text": "x"}').returncode == 2
    assert place.cli("retire", place.task, "--yes").returncode == 2
    assert document(place, "apply")["started"] == [place.task]
    eventually(lambda: place.status()["examples"] == before["examples"])
    assert before["examples"] > 0


def test_apply_names_retire_for_what_is_not_in_the_configuration(place: Place) -> None:
    document(place, "apply")
    text = (place.folder / "apprentice.yaml").read_text()
    other = f"{place.task}_other"
    (place.folder / "other.yaml").write_text(text.replace(f"name: {place.task}", f"name: {other}"))
    eventually(lambda: place.task in place.cli("status").stdout)
    done = place.cli("apply", "-c", "other.yaml")
    assert done.stdout.splitlines()[-1] == f"started {other}"
    assert "`apprentice retire TASK` ends one" in done.stderr
    assert place.cli("retire", other, "--yes").returncode == 0


def test_a_service_without_an_event_loop_operates_as_well(
    place: Place, dev_env: DevEnv, monkeypatch: pytest.MonkeyPatch
) -> None:
    document(place, "apply")
    monkeypatch.setenv("TEMPORAL_NAMESPACE", place.environ["TEMPORAL_NAMESPACE"])
    settings = load(place.folder / "apprentice.yaml", {})
    with BlockingApprentice(dev_env.address, config=settings.temporal) as apprentice:
        assert apprentice.apply_budget(BudgetSettings(daily=Decimal(7))) is False
        assert apprentice.operate_budget(SetCaps(monthly=Decimal(9))).caps[0].cap == 7
        assert [cap.cap for cap in apprentice.budget().caps] == [7, 9]
        assert apprentice.apply(settings.tasks[0]) is False
        assert apprentice.retire(place.task).task == place.task
        with pytest.raises(UnknownTask):
            apprentice.status(place.task)
        assert apprentice.apply(settings.tasks[0]) is True
