"""A version that is its base model shown examples: chosen from the training rows, in place as a whole or not at all."""

import asyncio
import json
import random
from pathlib import Path
from typing import Any

import pytest

from activities.local.familiarity import read_profile
from activities.local.model import version_dir
from activities.training import TrainingLost, few_shot
from activities.training.few_shot import FewShot
from activities.training.folder_jobs import folder_of
from activities.training.registry import TRAINING_RUNNERS
from apprentice import prompts
from apprentice.messages import DatasetRef, TrainingJob, TrainingRequest, TrainingStatus
from apprentice.served_version import FILE, ServedVersion
from apprentice.settings import LocalSettings, PromptSettings, RemoteSettings, TaskSettings
from client.cli.generated_tickets import OUTPUT_SCHEMA, generate


def settings_of(tmp_path: Path, prompt: PromptSettings | None = None, **local: Any) -> TaskSettings:
    values = {"backend": "ollama", "fine_tune_backend": "few_shot", "base_model": "llama3.1:8b"} | local
    return TaskSettings(
        name="tickets",
        input_schema={"text": "str"},
        output_schema=OUTPUT_SCHEMA,
        evaluator="structured_match",
        remote=RemoteSettings(provider="simulated", model="teacher"),
        prompt=prompt or PromptSettings(),
        local=LocalSettings(model_dir=str(tmp_path / "models"), **values),
    )


@pytest.fixture
def settings(tmp_path: Path) -> TaskSettings:
    return settings_of(tmp_path)


def dataset(tmp_path: Path, rows: int, extra: str = "") -> Path:
    file = tmp_path / "train.jsonl"
    lines = [json.dumps(row) for row in generate(rows, random.Random(0))]
    file.write_text("\n".join(lines) + "\n" + extra, encoding="utf-8")
    return file


def request(settings: TaskSettings, version: int = 1) -> TrainingRequest:
    reference = DatasetRef(task=settings.name, schema_version=1, last_id=1, train=1, holdout=0)
    return TrainingRequest(task=settings.name, version=version, settings_digest=settings.digest, dataset=reference)


async def trained(settings: TaskSettings, file: Path, version: int = 1) -> TrainingJob:
    runner = FewShot()
    job = await runner.start(request(settings, version), settings, file)
    async with asyncio.timeout(60):
        while not job.status.finished:
            await asyncio.sleep(0.01)
            job = await runner.poll(job, settings)
    return job


def read(settings: TaskSettings, version: int = 1) -> ServedVersion:
    return ServedVersion.model_validate_json((version_dir(settings, version) / FILE).read_bytes())


async def test_a_version_is_the_base_model_and_rows_of_the_training_set(settings: TaskSettings, tmp_path: Path) -> None:
    file = dataset(tmp_path, 500)
    job = await trained(settings, file)
    assert (job.status, job.model) == (TrainingStatus.SUCCEEDED, str(version_dir(settings, 1)))
    made, rows = read(settings), [json.loads(line) for line in file.read_text().splitlines()]
    assert (made.base_model, made.prompt_version) == ("llama3.1:8b", prompts.version(settings))
    assert len(made.examples) == settings.local.few_shot_examples
    assert all(one.model_dump() in rows for one in made.examples)
    assert TRAINING_RUNNERS["few_shot"] is FewShot
    profile = read_profile(version_dir(settings, 1))  # of all rows, not of the few that are shown
    assert profile is not None
    assert profile.inputs == len(rows)


async def test_starting_again_trains_once_and_another_version_sees_other_examples(
    settings: TaskSettings, tmp_path: Path
) -> None:
    file = dataset(tmp_path, 2000)
    await trained(settings, file)
    before = (version_dir(settings, 1) / FILE).stat()
    again = await FewShot().start(request(settings), settings, file)
    assert again.status is TrainingStatus.SUCCEEDED
    assert (version_dir(settings, 1) / FILE).stat() == before
    await trained(settings, file, 2)
    assert read(settings, 2).examples != read(settings, 1).examples


async def test_a_start_while_it_runs_adopts_the_job(
    settings: TaskSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[int] = []

    def work(*arguments: Any) -> None:
        started.append(1)
        original(*arguments)

    original = few_shot._work
    monkeypatch.setattr(few_shot, "_work", work)
    file, runner = dataset(tmp_path, 5000), FewShot()
    first = await runner.start(request(settings), settings, file)
    second = await runner.start(request(settings), settings, file)
    assert first.status is second.status is TrainingStatus.RUNNING
    assert (await trained(settings, file)).status is TrainingStatus.SUCCEEDED
    assert len(started) == 1


async def test_examples_of_the_prompt_are_not_shown_twice(tmp_path: Path) -> None:
    file = dataset(tmp_path, 12)
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    settings = settings_of(tmp_path, PromptSettings.model_validate({"examples": rows[:8]}))
    await trained(settings, file)
    shown = [one.model_dump() for one in read(settings).examples]
    assert shown
    assert not [row for row in shown if row in rows[:8]]


async def test_the_examples_leave_room_for_the_input(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, few_shot_examples=64, context_tokens=512)
    await trained(settings, dataset(tmp_path, 3000))
    shown = [json.dumps([one.input, one.output], ensure_ascii=False).encode() for one in read(settings).examples]
    assert 3 < len(shown) < 64
    assert sum(map(len, shown)) <= 2 * 512


@pytest.mark.parametrize(
    ("extra", "reason"),
    [
        ('{"input": {"text": "secret"', "line 21: not valid JSON"),
        ('{"input": "secret", "output": {}}', "line 21: expected"),
    ],
)
async def test_a_broken_row_fails_the_job_with_its_line_and_without_its_content(
    settings: TaskSettings, tmp_path: Path, extra: str, reason: str
) -> None:
    job = await trained(settings, dataset(tmp_path, 20, extra))
    assert job.status is TrainingStatus.FAILED
    assert reason in (job.error or "")
    assert "secret" not in (job.error or "")
    assert not version_dir(settings, 1).exists()


async def test_an_empty_or_missing_data_set_and_a_missing_base_model_fail_by_name(tmp_path: Path) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.write_text("\n")
    settings = settings_of(tmp_path)
    assert "has no rows" in ((await trained(settings, empty)).error or "")
    assert "cannot be read" in ((await trained(settings, tmp_path / "none.jsonl", 2)).error or "")
    baseless = settings_of(tmp_path, base_model=None)
    assert "local.base_model" in ((await trained(baseless, dataset(tmp_path, 5), 3)).error or "")


async def test_cancelling_stops_the_job_and_is_remembered(settings: TaskSettings, tmp_path: Path) -> None:
    runner, file = FewShot(), dataset(tmp_path, 20_000)
    job = await runner.start(request(settings), settings, file)
    assert (await runner.cancel(job, settings)).status is TrainingStatus.CANCELLED
    assert (await trained(settings, file)).status is TrainingStatus.CANCELLED
    assert not version_dir(settings, 1).exists()
    done = await trained(settings, dataset(tmp_path, 20), 2)
    assert await runner.cancel(done, settings) == done


async def test_a_job_whose_worker_died_is_lost_and_starts_again(settings: TaskSettings, tmp_path: Path) -> None:
    folder = folder_of(settings, 1)
    folder.draft.mkdir(parents=True)
    (folder.draft / FILE).write_text("{half a vers")
    job = TrainingJob(id="few_shot/tickets/v0001", task="tickets", version=1, status=TrainingStatus.RUNNING)
    with pytest.raises(TrainingLost, match="version 1 died; start it again"):
        await FewShot().poll(job, settings)
    assert (await trained(settings, dataset(tmp_path, 50))).status is TrainingStatus.SUCCEEDED
    assert read(settings).examples
