"""Today's workflow code makes the same decisions as the code that ran when the histories were recorded."""

import asyncio
from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from apprentice.lifecycle import Lifecycle
from client import Apprentice
from tests.conftest import DevEnv
from tests.workflows.conftest import SettingsOf
from tests.workflows.record_histories import FOLDER, HISTORIES, SCENES, read, text_of
from tests.workflows.traffic import QUICK, send, settled, tickets
from workers.worker import worker
from workflows import WORKFLOWS, burst
from workflows.ids import lifecycle_id

FILES = sorted(HISTORIES.glob("*/*.json*"))
TODAYS = sorted(FOLDER.glob("*.json*"))
LARGEST_FOLDER = 2_000_000
DEADLOCK = "TMPRL1101"
ATTEMPTS = 5
EXPECTED = {
    *("collecting_lifecycle", "phases_lifecycle", "phases_fine_tune_promoted", "rollover_before", "rollover_after"),
    *("budget_lifecycle", "orders_lifecycle", "failures_lifecycle", "rejected_lifecycle", "rejected_fine_tune"),
    *("failed_lifecycle", "failed_fine_tune", "shared_lifecycle", "shared_budget", "versions_lifecycle"),
    *("batches_lifecycle", "batches_batch", "teachers_lifecycle"),
}


RUNNERS: dict[str, WorkflowRunner] = {
    "as the worker": UnsandboxedWorkflowRunner(),
    # The worker does without, because nothing in a workflow asks for a clock, a coin or a file: here it would show.
    "sandboxed": SandboxedWorkflowRunner(
        restrictions=SandboxRestrictions.default.with_passthrough_modules(
            "yaml", "genai_prices", "httpx", "pydantic_core"
        )
    ),
}


def replayer(runner: str = "as the worker") -> Replayer:
    """With the worker's workflows and data converter."""
    return Replayer(workflows=WORKFLOWS, workflow_runner=RUNNERS[runner], data_converter=pydantic_data_converter)


def type_of(history: WorkflowHistory) -> str:
    """The name of the workflow type."""
    return history.events[0].workflow_execution_started_event_attributes.workflow_type.name


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.name}")
@pytest.mark.parametrize("runner", RUNNERS)
async def test_a_recorded_history_replays(file: Path, runner: str) -> None:
    history = read(file)
    for attempt in range(1, ATTEMPTS + 1):
        try:
            await replayer(runner).replay_workflow(history)
            return
        except RuntimeError as error:
            # A step that took two seconds: the machine was busy. One that never ends does so again.
            if DEADLOCK not in str(error) or attempt == ATTEMPTS:
                raise


def test_histories_that_were_recorded_by_the_first_release_are_among_them() -> None:
    assert len([file for file in FILES if file.parent.name == "0.1"]) == 12


def test_there_is_a_history_of_every_workflow_and_every_scene() -> None:
    names = {file.name.partition(".")[0] for file in TODAYS}
    assert names == EXPECTED
    assert {name.partition("_")[0] for name in names} == SCENES.keys()
    assert {type_of(read(file)) for file in TODAYS} == {workflow.__name__ for workflow in WORKFLOWS}


def test_the_histories_are_small_and_tell_nothing_of_who_recorded_them() -> None:
    for folder in {file.parent for file in FILES}:
        assert sum(file.stat().st_size for file in folder.iterdir()) < LARGEST_FOLDER
    for file in FILES:
        text = text_of(file)
        assert "stackTrace" not in text
        assert "@" not in text


async def test_another_decision_than_the_recorded_one_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The replays above can fail: a brain that sets no alarm clock does not replay."""
    monkeypatch.setattr(Lifecycle, "next_due", lambda self: None)
    with pytest.raises(Exception, match=r"(?i)nondeterminis"):
        await replayer().replay_workflow(read(next(file for file in TODAYS if file.name.startswith("phases_life"))))


@pytest.mark.slow
async def test_a_worker_that_caches_nothing_replays_its_own_history_at_every_step(
    settings_of: SettingsOf, dev_env: DevEnv, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = settings_of(name="uncached", **QUICK)
    queue = f"queue-{settings.name}"
    async with worker(dev_env.client, f"sqlite:///{tmp_path}/store.db", queue, max_cached_workflows=0):
        apprentice = Apprentice(dev_env.client, task_queue=queue, concurrency=100)
        await apprentice.apply(settings)
        await send(apprentice, settings.name, tickets(60), at_once=8)
        status = await settled(apprentice, settings.name)
        await send(apprentice, settings.name, tickets(60, first=100), at_once=8)
        after = await apprentice.status(settings.name)
    assert status.version == 1
    assert after.requests == 120
    assert not [record for record in caplog.records if "Failed activation" in record.getMessage()]
    handle = dev_env.client.get_workflow_handle(lifecycle_id(settings.name))
    failed = [
        event
        async for event in handle.fetch_history_events()
        if event.HasField("workflow_task_failed_event_attributes")
    ]
    assert not failed
    await asyncio.wait_for(replayer().replay_workflow(await handle.fetch_history()), 60)


@pytest.mark.slow
async def test_requests_that_waited_for_the_next_workflow_task_replay(
    settings_of: SettingsOf, dev_env: DevEnv, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clients and server let in so little that the last barrier is never reached: here it is lowered."""
    monkeypatch.setattr(burst, "BYTES_A_TASK", 6_000)
    settings = settings_of()
    queue = f"queue-{settings.name}"
    async with worker(dev_env.client, f"sqlite:///{tmp_path}/store.db", queue, max_cached_workflows=0):
        apprentice = Apprentice(dev_env.client, task_queue=queue, concurrency=100)
        await apprentice.apply(settings)
        await send(apprentice, settings.name, tickets(80), at_once=40)
    handle = dev_env.client.get_workflow_handle(lifecycle_id(settings.name))
    history = await handle.fetch_history()
    timers = [event for event in history.events if event.HasField("timer_started_event_attributes")]
    failed = [event for event in history.events if event.HasField("workflow_task_failed_event_attributes")]
    assert timers
    assert not failed
    await replayer().replay_workflow(history)
