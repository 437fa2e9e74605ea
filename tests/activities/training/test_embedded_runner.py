"""Training jobs outlive their starters, are adopted, start again after a kill, and fail with a reason."""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from activities.local.embedded.student import Student
from activities.training import TrainingLost
from activities.training.embedded import MAX_ATTEMPTS, Embedded
from activities.training.folder_jobs import folder_of
from activities.training.registry import TRAINING_RUNNERS
from apprentice.messages import DatasetRef, TrainingJob, TrainingRequest, TrainingStatus
from apprentice.settings import LocalSettings, RemoteSettings, TaskSettings
from client.cli.generated_tickets import OUTPUT_SCHEMA, generate


@pytest.fixture
def settings(tmp_path: Path) -> TaskSettings:
    return TaskSettings(
        name="tickets",
        input_schema={"text": "str"},
        output_schema=OUTPUT_SCHEMA,
        evaluator="structured_match",
        remote=RemoteSettings(provider="simulated", model="teacher"),
        local=LocalSettings(model_dir=str(tmp_path / "models")),
    )


def dataset(tmp_path: Path, rows: int, extra: str = "") -> Path:
    file = tmp_path / "train.jsonl"
    lines = [json.dumps(row) for row in generate(rows, random.Random(0))]
    file.write_text("\n".join(lines) + "\n" + extra, encoding="utf-8")
    return file


def request(settings: TaskSettings, version: int = 1) -> TrainingRequest:
    reference = DatasetRef(task=settings.name, schema_version=1, last_id=1, train=1, holdout=0)
    return TrainingRequest(task=settings.name, version=version, settings_digest=settings.digest, dataset=reference)


async def finished(runner: Embedded, job: TrainingJob, settings: TaskSettings) -> TrainingJob:
    async with asyncio.timeout(150):
        while not job.status.finished:
            await asyncio.sleep(0.05)
            job = await runner.poll(job, settings)
    return job


async def pid_of(settings: TaskSettings, version: int = 1) -> int:
    for _ in range(3000):
        if (pid := folder_of(settings, version).process_id) is not None:
            return pid
        await asyncio.sleep(0.01)
    raise AssertionError("the training process has not said its id")


async def lost(runner: Embedded, job: TrainingJob, settings: TaskSettings) -> None:
    async with asyncio.timeout(30):
        while True:
            await runner.poll(job, settings)
            await asyncio.sleep(0.01)


async def test_a_version_is_trained_for_real_and_adopted_when_asked_for_again(
    settings: TaskSettings, tmp_path: Path
) -> None:
    runner, file = Embedded(), dataset(tmp_path, 300)
    job = await runner.start(request(settings), settings, file)
    assert (job.id, job.status) == ("embedded/tickets/v0001", TrainingStatus.RUNNING)
    job = await finished(runner, job, settings)
    assert job.status is TrainingStatus.SUCCEEDED
    assert job.model is not None
    row = next(generate(1, random.Random(0)))
    assert Student.load(Path(job.model)).predict(row["input"]).output == row["output"]
    file.unlink()
    assert await TRAINING_RUNNERS["embedded"]().start(request(settings), settings, file) == job


async def test_two_starts_at_once_make_one_process(settings: TaskSettings, tmp_path: Path) -> None:
    file = dataset(tmp_path, 300)
    jobs = await asyncio.gather(*(Embedded().start(request(settings), settings, file) for _ in range(8)))
    assert {job.status for job in jobs} == {TrainingStatus.RUNNING}
    order = folder_of(settings, 1).order
    assert order is not None
    assert order.attempt == 1
    assert (await finished(Embedded(), jobs[0], settings)).status is TrainingStatus.SUCCEEDED
    assert folder_of(settings, 1).order == order


STARTER = """
import asyncio, os, signal, sys
from pathlib import Path
from activities.training.embedded import Embedded
from apprentice.messages import TrainingRequest
from apprentice.settings import TaskSettings
request, settings = TrainingRequest.model_validate_json(sys.argv[1]), TaskSettings.model_validate_json(sys.argv[2])
asyncio.run(Embedded().start(request, settings, Path(sys.argv[3])))
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.crash
async def test_a_job_goes_on_after_kill_9_of_its_starter_and_is_adopted(settings: TaskSettings, tmp_path: Path) -> None:
    file, order = dataset(tmp_path, 3000), request(settings)
    arguments = [order.model_dump_json(), settings.model_dump_json(), str(file)]
    starter = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", STARTER, *arguments], check=False)
    assert starter.returncode == -signal.SIGKILL
    job = await Embedded().start(order, settings, file)
    assert job.status is TrainingStatus.RUNNING
    kept = folder_of(settings, 1).order
    assert kept is not None
    assert kept.attempt == 1
    assert (await finished(Embedded(), job, settings)).status is TrainingStatus.SUCCEEDED


@pytest.mark.crash
async def test_a_job_that_was_killed_is_lost_and_starts_again(settings: TaskSettings, tmp_path: Path) -> None:
    runner, file = Embedded(), dataset(tmp_path, 1000)
    job = await runner.start(request(settings), settings, file)
    os.kill(await pid_of(settings), signal.SIGKILL)
    with pytest.raises(TrainingLost, match="version 1 died; start it again"):
        await lost(runner, job, settings)
    job = await runner.start(request(settings), settings, file)
    assert (await finished(runner, job, settings)).status is TrainingStatus.SUCCEEDED


@pytest.mark.crash
async def test_a_job_that_dies_again_and_again_fails_with_a_reason(settings: TaskSettings, tmp_path: Path) -> None:
    runner, file = Embedded(), dataset(tmp_path, 1000)
    for _ in range(MAX_ATTEMPTS):
        job = await runner.start(request(settings), settings, file)
        os.kill(await pid_of(settings), signal.SIGKILL)
        with pytest.raises(TrainingLost):
            await lost(runner, job, settings)
    job = await runner.start(request(settings), settings, file)
    assert job.status is TrainingStatus.FAILED
    assert "died 3 times" in (job.error or "")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ('{"input": {"text": "secret"', "line 21: not valid JSON"),
        ('{"input": "secret", "output": {}}', "line 21: expected"),
        ("[1]", "line 21: expected"),
        ('{"input": {"text": "\\ud800"}, "output": {"category": "billing"}}', ""),
    ],
)
async def test_a_broken_row_fails_the_job_with_its_line_and_without_its_content(
    settings: TaskSettings, tmp_path: Path, row: str, reason: str
) -> None:
    runner = Embedded()
    job = await runner.start(request(settings), settings, dataset(tmp_path, 20, row))
    job = await finished(runner, job, settings)
    if reason:
        assert job.status is TrainingStatus.FAILED
        assert reason in (job.error or "")
        assert "secret" not in (job.error or "")
    else:
        assert job.status is TrainingStatus.SUCCEEDED


async def test_a_missing_dataset_fails_the_job(settings: TaskSettings, tmp_path: Path) -> None:
    runner = Embedded()
    job = await finished(runner, await runner.start(request(settings), settings, tmp_path / "none.jsonl"), settings)
    assert job.status is TrainingStatus.FAILED
    assert "none.jsonl cannot be read" in (job.error or "")


async def test_cancelling_stops_the_process_and_is_remembered(settings: TaskSettings, tmp_path: Path) -> None:
    runner, file = Embedded(), dataset(tmp_path, 3000)
    job = await runner.start(request(settings), settings, file)
    pid = await pid_of(settings)
    assert (await runner.cancel(job, settings)).status is TrainingStatus.CANCELLED
    await asyncio.sleep(0.5)  # for the thread that takes its exit status
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert (await runner.start(request(settings), settings, file)).status is TrainingStatus.CANCELLED


async def test_cancelling_a_finished_job_changes_nothing(settings: TaskSettings, tmp_path: Path) -> None:
    runner = Embedded()
    job = await finished(runner, await runner.start(request(settings), settings, dataset(tmp_path, 50)), settings)
    assert await runner.cancel(job, settings) == job
