"""Trains a version of a language-model server without touching a weight: its base model, shown the best examples.

It takes seconds in a thread of the worker. The lock of the job's folder is held meanwhile, so that any worker of the
machine sees whether it still runs, and starts it again if its worker has died.
"""

import asyncio
import os
import random
import shutil
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from activities.local.familiarity import write_profile
from activities.training.dataset_file import DatasetError, rows
from activities.training.folder_jobs import finished, folder_of, job, poll
from activities.training.job_folder import Failure, JobFolder
from apprentice import demonstrations, prompts
from apprentice.datasets import input_hash
from apprentice.evaluators.structured_match import weighted_fields
from apprentice.messages import TrainingJob, TrainingRequest, TrainingStatus
from apprentice.served_version import FILE, Demonstration, ServedVersion
from apprentice.settings import TaskSettings

NAME = "few_shot"
BYTES_A_TOKEN = 2
"""Of the context, for the examples together: at three to four bytes a token that is half to two thirds of it."""
LOOK_EVERY = 1000
"""Rows between two looks at whether the job was cancelled."""


class Cancelled(Exception):
    """Someone asked for it."""


class FewShot:
    """The runner holds no state: everything is told from the job's folder."""

    async def start(self, request: TrainingRequest, settings: TaskSettings, dataset_file: Path) -> TrainingJob:
        return await asyncio.to_thread(_start, request, settings, dataset_file)

    async def poll(self, job: TrainingJob, settings: TaskSettings) -> TrainingJob:
        return await asyncio.to_thread(poll, NAME, job.task, job.version, settings)

    async def cancel(self, job: TrainingJob, settings: TaskSettings) -> TrainingJob:
        return await asyncio.to_thread(_cancel, job.task, job.version, settings)


def _start(request: TrainingRequest, settings: TaskSettings, dataset_file: Path) -> TrainingJob:
    folder = folder_of(settings, request.version)
    running = job(NAME, request.task, request.version, TrainingStatus.RUNNING)
    if (lock := folder.lock()) is None:
        return running
    if ended := finished(NAME, request.task, request.version, folder):
        os.close(lock)
        return ended
    arguments = (folder, lock, request.version, settings, dataset_file)
    threading.Thread(target=_work, args=arguments, daemon=True, name=f"{NAME}-{request.task}").start()
    return running


def _cancel(task: str, version: int, settings: TaskSettings) -> TrainingJob:
    """What is written here, the thread finds before it puts the version in place."""
    folder = folder_of(settings, version)
    if ended := finished(NAME, task, version, folder):
        return ended
    folder.fail(Failure(status=TrainingStatus.CANCELLED, error="cancelled"))
    return job(NAME, task, version, TrainingStatus.CANCELLED, error="cancelled")


def _work(folder: JobFolder, lock: int, version: int, settings: TaskSettings, dataset_file: Path) -> None:
    try:
        made = train(settings, version, _watched(folder, dataset_file), _watched(folder, dataset_file))
        _put(made, folder, _watched(folder, dataset_file))
    except Cancelled:
        pass
    except DatasetError as error:
        folder.fail(Failure(status=TrainingStatus.FAILED, error=str(error)))
    except Exception as error:  # a library's message may quote the data
        folder.fail(
            Failure(status=TrainingStatus.FAILED, error=f"the examples were not chosen: {type(error).__name__}")
        )
    finally:
        os.close(lock)


def train(
    settings: TaskSettings,
    version: int,
    first: Iterator[tuple[dict[str, Any], dict[str, Any]]],
    second: Iterator[tuple[dict[str, Any], dict[str, Any]]],
) -> ServedVersion:
    """The version of that number; `first` and `second` are the same rows, each read once. Raises DatasetError."""
    local = settings.local
    if not local.base_model:
        raise DatasetError("local.base_model names no model to show examples to")
    fields = demonstrations.class_fields(
        (output for _, output in first), [name for name, _ in weighted_fields(settings)]
    )
    known = {input_hash(one.input) for one in settings.prompt.examples}
    new = ((input, output) for input, output in second if input_hash(input) not in known)
    room = BYTES_A_TOKEN * local.context_tokens
    # Longer rows leave no room for the variety that the examples are for; where all are, the base model is alone.
    longest = max(room // 4, 2 * room // local.few_shot_examples)
    pool = demonstrations.sample(new, fields, random.Random(version), longest)
    chosen = demonstrations.choose(pool, local.few_shot_examples, room)
    return ServedVersion(
        base_model=local.base_model,
        examples=[Demonstration(input=one.input, output=one.output) for one in chosen],
        prompt_version=prompts.version(settings),
    )


def _watched(folder: JobFolder, dataset_file: Path) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """The rows. Raises Cancelled, DatasetError."""
    number = 0
    for number, row in enumerate(rows(dataset_file), start=1):
        if number % LOOK_EVERY == 0 and folder.failure:
            raise Cancelled
        yield row.input, row.output
    if number == 0:
        raise DatasetError(f"dataset {dataset_file.name} has no rows")


def _put(version: ServedVersion, folder: JobFolder, taught: Iterator[tuple[dict[str, Any], dict[str, Any]]]) -> None:
    """In place as a whole, or not at all. Few examples are shown, but all of them say what to expect."""
    shutil.rmtree(folder.draft, ignore_errors=True)
    folder.draft.mkdir(parents=True)
    (folder.draft / FILE).write_text(version.model_dump_json(indent=1), encoding="utf-8")
    write_profile(folder.draft, taught)
    if folder.failure:
        raise Cancelled
    with suppress(FileExistsError):
        os.rename(folder.draft, folder.result)
