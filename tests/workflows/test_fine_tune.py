"""The fine-tune workflow on a real server: what is promoted, what is not, and that nothing of it blocks the task."""

import asyncio
import json
import os
import signal
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import WorkflowHandle
from temporalio.service import RPCError
from temporalio.testing import TimeSkipper

from activities.store import Store
from activities.store.examples import Examples, Wanted
from activities.training.folder_jobs import folder_of
from apprentice import prompts
from apprentice.messages import AlertKind, DatasetRef, FineTuneOutcome, Phase, Retrain, Split
from apprentice.settings import RemoteSettings, TaskSettings
from client import Apprentice
from tests.conftest import DevEnv
from tests.workflows.conftest import Running, SettingsOf
from tests.workflows.traffic import QUICK, send, settled, teach, tickets
from workers.worker import worker
from workflows import TaskLifecycleWorkflow
from workflows.ids import fine_tune_id, lifecycle_id

pytestmark = pytest.mark.slow


@contextmanager
def rolling_over(monkeypatch: pytest.MonkeyPatch, *, busy: bool = False) -> Iterator[threading.Event]:
    """While the event is set, runs end: at an idle moment, or at any moment if `busy` as at the limits of a run."""
    now = threading.Event()

    def rolls_over(self: TaskLifecycleWorkflow) -> bool:
        return now.is_set() and not self.errands.fine_tunes and self.digest is not None and (busy or not self.in_flight)

    monkeypatch.setattr(TaskLifecycleWorkflow, "_rolls_over", rolls_over)
    yield now
    now.clear()


def lock_of(settings: TaskSettings) -> Path:
    """The lock of the first training; in it, the process that holds it."""
    return folder_of(settings, 1).path / "lock"


async def until_next_run(handle: WorkflowHandle[Any, Any], run_id: str) -> str:
    """The run after `run_id`, once there is one."""
    async with asyncio.timeout(20):
        while (found := (await handle.describe()).run_id) == run_id:  # noqa: ASYNC110 - the server tells nobody
            await asyncio.sleep(0.05)
    return found


async def outcome_of(dev_env: DevEnv, task: str, number: int) -> FineTuneOutcome:
    """What the fine-tune workflow returned."""
    handle = dev_env.client.get_workflow_handle(fine_tune_id(task, number), result_type=FineTuneOutcome)
    return await asyncio.wait_for(handle.result(), 60)


def read_rows(file: Path) -> list[dict[str, Any]]:
    """Of a JSONL file."""
    return [json.loads(line) for line in file.read_text().splitlines()]


def write_rows(file: Path, rows: list[dict[str, Any]]) -> None:
    """As JSONL."""
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))


def process_of(lock: Path) -> int | None:
    """What stands in the lock; None if nothing does."""
    try:
        return int(lock.read_text())
    except (OSError, ValueError):
        return None


async def test_a_candidate_that_passes_is_promoted_warmed_and_told_to_the_task(
    running: Running, settings_of: SettingsOf, dev_env: DevEnv, tmp_path: Path
) -> None:
    settings = settings_of(name="fine_tune_1", **QUICK)
    async with running(settings) as apprentice:
        await send(apprentice, settings.name, tickets(60))
        status = await settled(apprentice, settings.name)
        outcome = await outcome_of(dev_env, settings.name, 1)
        assert (await send(apprentice, settings.name, tickets(1, first=900)))[0].trace.phase is not Phase.COLLECTING
    assert outcome.promoted
    assert outcome.validation is not None
    assert outcome.validation.holdout == outcome.holdout == status.holdout
    assert outcome.train + outcome.holdout == 60
    assert status.version == 1
    assert [(version.version, version.state) for version in status.versions] == [(1, "promoted")]
    assert status.versions[0].reason == outcome.reason
    assert status.versions[0].prompt_version == outcome.prompt_version == prompts.version(settings)
    async with await Store.open(f"sqlite:///{tmp_path}/store.db") as store:
        stored = await store.versions.all(settings.name)
    assert [(version.version, version.state) for version in stored] == [(1, "promoted")]
    assert stored[0].prompt_version == outcome.prompt_version


async def test_a_candidate_below_the_threshold_is_rejected_and_the_status_says_why(
    running: Running, settings_of: SettingsOf, dev_env: DevEnv
) -> None:
    remote = settings_of().remote.model_dump(mode="json")
    remote["simulation"] |= {"noise": 1.0, "latency_seconds": 0, "seed": 3}
    schema = {"label": [f"class {n}" for n in range(12)]}
    settings = settings_of(name="fine_tune_2", **QUICK, remote=remote, output_schema=schema)
    async with running(settings) as apprentice:
        await send(apprentice, settings.name, tickets(60))
        status = await settled(apprentice, settings.name)
        outcome = await outcome_of(dev_env, settings.name, 1)
    assert not outcome.promoted
    assert "below the threshold" in outcome.reason
    assert status.version is None
    assert status.phase is Phase.COLLECTING
    assert [(version.state, version.reason) for version in status.versions] == [("rejected", outcome.reason)]
    assert not [alert for alert in status.alerts if alert.kind is AlertKind.TRAINING]


async def test_a_candidate_below_the_incumbent_is_rejected(
    running: Running, settings_of: SettingsOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second training gets a teacher's worst day: the same inputs, every label turned by one."""
    thresholds = QUICK["confidence_thresholds"] | {"emergency_threshold": 0.0}
    settings = settings_of(name="fine_tune_3", **QUICK | {"confidence_thresholds": thresholds})
    export = Examples.export

    async def spoilt(self: Examples, ref: DatasetRef, split: Split, file: Path, wanted: Wanted) -> int:
        count = await export(self, ref, split, file, wanted)
        labels = settings.output_schema["category"]
        rows = read_rows(file)
        for row in rows:
            row["output"]["category"] = labels[(labels.index(row["output"]["category"]) + 1) % len(labels)]
        write_rows(file, rows)
        return count

    async with running(settings) as apprentice:
        await send(apprentice, settings.name, tickets(60))
        assert (await settled(apprentice, settings.name)).version == 1
        await teach(apprentice, settings.name, tickets(10, first=500))
        monkeypatch.setattr(Examples, "export", spoilt)
        await apprentice.operate(settings.name, Retrain())
        status = await settled(apprentice, settings.name, 2)
    assert status.version == 1
    assert [version.state for version in status.versions] == ["promoted", "rejected"]
    assert "below the incumbent's" in status.versions[1].reason


@pytest.mark.parametrize("line", ["{not json\n", '{"input": 3}\n'])
async def test_a_training_on_damaged_data_fails_by_name_and_raises_an_alert(
    running: Running, settings_of: SettingsOf, tmp_path: Path, line: str
) -> None:
    settings = settings_of(**QUICK)
    folder = Path(settings.local.model_dir) / settings.name / "datasets"
    folder.mkdir(parents=True)
    for last_id in range(55, 66):
        (folder / f"{last_id}.jsonl").write_text(line)
    async with running(settings) as apprentice:
        await send(apprentice, settings.name, tickets(60))
        status = await settled(apprentice, settings.name)
        await send(apprentice, settings.name, tickets(5, first=700))
    assert [version.state for version in status.versions] == ["failed"]
    assert "training" in status.versions[0].reason
    assert "line 1" in status.versions[0].reason
    assert [alert.kind for alert in status.alerts] == [AlertKind.TRAINING]
    assert status.phase is Phase.COLLECTING


async def test_a_training_process_that_is_killed_is_started_again(running: Running, settings_of: SettingsOf) -> None:
    settings = settings_of(name="fine_tune_4", **QUICK)
    lock = lock_of(settings)
    async with running(settings) as apprentice:
        await send(apprentice, settings.name, tickets(60))
        os.kill(await process_in(lock), signal.SIGKILL)
        status = await settled(apprentice, settings.name)
    assert [version.state for version in status.versions] == ["promoted"]


async def test_a_training_process_that_is_killed_each_time_fails_with_an_alert(
    running: Running, settings_of: SettingsOf
) -> None:
    settings = settings_of(name="fine_tune_5", **QUICK)
    lock = lock_of(settings)
    async with running(settings) as apprentice:
        await send(apprentice, settings.name, tickets(60))
        known: set[int] = set()
        for _ in range(3):
            known.add(process := await process_in(lock, known))
            os.kill(process, signal.SIGKILL)
        status = await settled(apprentice, settings.name)
    assert [version.state for version in status.versions] == ["failed"]
    assert "died 3 times" in status.versions[0].reason
    assert [alert.kind for alert in status.alerts] == [AlertKind.TRAINING]


async def process_in(lock: Path, known: Collection[int] = ()) -> int:
    """The training process that holds the lock, once there is one that is not `known`."""
    async with asyncio.timeout(60):
        while (process := process_of(lock)) is None or process in known:  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(0.005)
        return process


async def test_repeated_and_late_outcomes_change_nothing(
    running: Running, settings_of: SettingsOf, dev_env: DevEnv
) -> None:
    settings = settings_of(name="fine_tune_6", **QUICK)
    async with running(settings) as apprentice:
        await send(apprentice, settings.name, tickets(60))
        before = await settled(apprentice, settings.name)
        outcome = await outcome_of(dev_env, settings.name, 1)
        handle = dev_env.client.get_workflow_handle(lifecycle_id(settings.name))
        for number in (1, 1, 0, 7):
            await handle.signal("fine_tuned", outcome.model_copy(update={"number": number, "promoted": True}))
        after = await apprentice.status(settings.name)
    assert after.model_dump(exclude={"at"}) == before.model_dump(exclude={"at"})


async def test_a_fine_tune_outlives_its_tasks_run_and_reports_to_the_next(
    running: Running, settings_of: SettingsOf, dev_env: DevEnv, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run ends as soon as the training has begun; what the child says reaches the run after it."""
    settings = settings_of(name="fine_tune_7", **QUICK)
    lock = lock_of(settings)
    handle = dev_env.client.get_workflow_handle(lifecycle_id(settings.name))
    with rolling_over(monkeypatch) as roll:
        async with running(settings) as apprentice:
            await send(apprentice, settings.name, tickets(60))
            process = await process_in(lock)
            os.kill(process, signal.SIGSTOP)
            first = (await handle.describe()).run_id
            roll.set()
            await handle.signal(TaskLifecycleWorkflow.resume)  # something has to wake the run up
            second = await until_next_run(handle, first)
            roll.clear()
            assert (await apprentice.status(settings.name)).training == 1
            os.kill(process, signal.SIGCONT)
            status = await settled(apprentice, settings.name)
            assert (await handle.describe()).run_id == second
    assert status.version == 1
    assert status.requests == 60


async def test_a_fine_tune_that_the_last_request_of_a_run_asks_for_is_not_lost(
    running: Running, settings_of: SettingsOf, dev_env: DevEnv, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run drains while the request is under way that brings the sixtieth example."""
    remote = settings_of().remote.model_dump(mode="json")
    settings = settings_of(name="fine_tune_8", **QUICK, remote=remote)
    slow = remote | {"simulation": {"latency_seconds": 1.5, "latency_spread": 0}}
    handle = dev_env.client.get_workflow_handle(lifecycle_id(settings.name))
    with rolling_over(monkeypatch, busy=True) as roll:
        async with running(settings) as apprentice:
            await send(apprentice, settings.name, tickets(59))
            await apprentice.apply(settings.model_copy(update={"remote": RemoteSettings.model_validate(slow)}))
            first = (await handle.describe()).run_id
            last = asyncio.create_task(send(apprentice, settings.name, tickets(1, first=800)))
            await asyncio.sleep(0.7)
            roll.set()
            await handle.signal(TaskLifecycleWorkflow.resume)  # something has to wake the run up
            await last
            roll.clear()
            status = await settled(apprentice, settings.name)
            assert (await handle.describe()).run_id != first
    assert [version.version for version in status.versions] == [1]


async def test_a_fine_tune_that_an_operator_terminates_has_failed_at_once(
    running: Running, settings_of: SettingsOf, dev_env: DevEnv
) -> None:
    settings = settings_of(name="fine_tune_9", **QUICK)
    async with running(settings) as apprentice:
        child = dev_env.client.get_workflow_handle(fine_tune_id(settings.name, 1))
        await asyncio.gather(terminate_when_started(child), send(apprentice, settings.name, tickets(60)))
        status = await settled(apprentice, settings.name, seconds=20)
        assert [version.state for version in status.versions] == ["failed"]
        assert "ended early" in status.versions[0].reason
        assert [alert.kind for alert in status.alerts] == [AlertKind.TRAINING]
        await send(apprentice, settings.name, tickets(5, first=600))
        await apprentice.operate(settings.name, Retrain())
        again = await settled(apprentice, settings.name, 2)
    assert again.version == 2


async def test_a_fine_tune_that_never_reports_is_given_up_in_time(
    settings_of: SettingsOf, dev_env: DevEnv, time_skipper: TimeSkipper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is terminated after the run that started it: the next run is nobody's parent and only has the clock."""
    local = settings_of().local.model_dump(mode="json") | {"training_timeout": "2h"}
    settings = settings_of(name="fine_tune_10", **QUICK, local=local)
    queue = f"queue-{settings.name}"
    async with worker(dev_env.client, f"sqlite:///{tmp_path}/store.db", queue):
        apprentice = Apprentice(time_skipper.client, task_queue=queue, concurrency=100)
        handle = time_skipper.client.get_workflow_handle(lifecycle_id(settings.name))
        with rolling_over(monkeypatch) as roll:
            await apprentice.apply(settings)
            await send(apprentice, settings.name, tickets(60))
            os.kill(await process_in(lock_of(settings)), signal.SIGSTOP)
            first = (await handle.describe()).run_id
            roll.set()
            await handle.signal(TaskLifecycleWorkflow.resume)
            await until_next_run(handle, first)
        await terminate_when_started(dev_env.client.get_workflow_handle(fine_tune_id(settings.name, 1)))
        os.kill(await process_in(lock_of(settings)), signal.SIGKILL)
        assert (await apprentice.status(settings.name)).training == 1
        await time_skipper.fast_forward(handle, timedelta(hours=4))
        status = await settled(apprentice, settings.name)
        assert [version.state for version in status.versions] == ["failed"]
        assert "never ended" in status.versions[0].reason
        assert [alert.kind for alert in status.alerts] == [AlertKind.TRAINING]
        await send(apprentice, settings.name, tickets(5, first=600))
        await apprentice.operate(settings.name, Retrain())
        again = await settled(apprentice, settings.name, 2)
    assert again.version == 2


async def terminate_when_started(child: WorkflowHandle[Any, Any]) -> None:
    """Terminate the fine-tune workflow as soon as there is one."""
    async with asyncio.timeout(60):
        while True:
            try:
                await child.terminate("an operator's mistake")
                return
            except RPCError:
                await asyncio.sleep(0.02)


async def test_no_hold_out_example_ever_reaches_a_training_file(
    running: Running, settings_of: SettingsOf, tmp_path: Path
) -> None:
    settings = settings_of(name="fine_tune_11", **QUICK)
    async with running(settings) as apprentice:
        await send(apprentice, settings.name, tickets(60))
        await settled(apprentice, settings.name)
        await teach(apprentice, settings.name, tickets(30, first=500))
        await apprentice.operate(settings.name, Retrain())
        await settled(apprentice, settings.name, 2)
    files = sorted((Path(settings.local.model_dir) / settings.name / "datasets").glob("*.jsonl"))
    trained = {json.loads(line)["input"]["text"] for file in files for line in file.read_text().splitlines()}
    async with await Store.open(f"sqlite:///{tmp_path}/store.db") as store:
        ref = await store.examples.snapshot(settings.name, settings.schema_version)
        held_out = {example.input["text"] async for example in store.examples.read(ref, Split.HOLDOUT)}
        for_training = {example.input["text"] async for example in store.examples.read(ref, Split.TRAIN)}
    assert len(files) == 2
    assert held_out
    assert not trained & held_out
    assert trained <= for_training
