"""Trains the embedded student in a process of its own, which outlives the worker that started it."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

from activities.training.folder_jobs import finished, folder_of, job, poll
from activities.training.job_folder import Failure, JobFolder, Order
from apprentice.messages import TrainingJob, TrainingRequest, TrainingStatus
from apprentice.settings import TaskSettings

NAME = "embedded"
MAX_ATTEMPTS = 3
"""A job that died this often without a word (out of memory, most likely) has failed."""
LOCK_TRIES = 20
LOCK_PAUSE_SECONDS = 0.05
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
"""Linear algebra on all cores would take them from the requests that are being served."""


class Embedded:
    """The runner holds no state: everything is told from the job's folder, so any worker on the machine adopts it."""

    async def start(self, request: TrainingRequest, settings: TaskSettings, dataset_file: Path) -> TrainingJob:
        return await asyncio.to_thread(_start, request, settings, dataset_file)

    async def poll(self, job: TrainingJob, settings: TaskSettings) -> TrainingJob:
        return await asyncio.to_thread(poll, NAME, job.task, job.version, settings)

    async def cancel(self, job: TrainingJob, settings: TaskSettings) -> TrainingJob:
        return await asyncio.to_thread(_cancel, job.task, job.version, settings)


def _start(request: TrainingRequest, settings: TaskSettings, dataset_file: Path) -> TrainingJob:
    folder = folder_of(settings, request.version)
    for tries in range(LOCK_TRIES):
        lock = folder.lock()
        if lock is not None:
            try:
                return _start_locked(request, settings, dataset_file, folder, lock)
            finally:
                os.close(lock)
        if tries and folder.process_id is not None:
            break
        time.sleep(LOCK_PAUSE_SECONDS)  # it may be held by a poll that looks, not by a job
    return job(NAME, request.task, request.version, TrainingStatus.RUNNING)


def _start_locked(
    request: TrainingRequest, settings: TaskSettings, dataset_file: Path, folder: JobFolder, lock: int
) -> TrainingJob:
    if ended := finished(NAME, request.task, request.version, folder):
        return ended
    os.ftruncate(lock, 0)
    attempt = (folder.order.attempt if folder.order else 0) + 1
    if attempt > MAX_ATTEMPTS:
        reason = (
            f"the training process died {MAX_ATTEMPTS} times without an error (out of memory?); see {folder.log_file}"
        )
        folder.fail(Failure(status=TrainingStatus.FAILED, error=reason))
        return job(NAME, request.task, request.version, TrainingStatus.FAILED, error=reason)
    order = Order(
        task=request.task,
        version=request.version,
        attempt=attempt,
        dataset=str(dataset_file.absolute()),
        settings=settings.model_dump(mode="json"),
    )
    folder.write(folder.order_file, order)
    _spawn(folder, lock)
    return job(NAME, request.task, request.version, TrainingStatus.RUNNING)


def _spawn(folder: JobFolder, lock: int) -> None:
    """Start the job with our lock in its hands: from the first instant it is alive for everyone who looks."""
    command = [sys.executable, "-m", "activities.training.embedded_job", str(folder.order_file), str(lock)]
    root = str(Path(__file__).parents[2])
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    with folder.log_file.open("ab") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=os.environ | ONE_THREAD | {"PYTHONPATH": path},
            pass_fds=[lock],
            start_new_session=True,
        )
    threading.Thread(target=process.wait, daemon=True, name=f"reap-{process.pid}").start()


def _cancel(task: str, version: int, settings: TaskSettings) -> TrainingJob:
    folder = folder_of(settings, version)
    for _ in range(10 * LOCK_TRIES):
        with folder.unlocked() as dead:
            if dead:
                if (ended := finished(NAME, task, version, folder)) is None:
                    folder.fail(Failure(status=TrainingStatus.CANCELLED, error="cancelled"))
                return ended or job(NAME, task, version, TrainingStatus.CANCELLED, error="cancelled")
        if (process_id := folder.process_id) is not None:
            with suppress(ProcessLookupError):
                if os.getsid(process_id) == process_id:  # ours lead a session: one more guard for a reused id
                    os.kill(process_id, signal.SIGKILL)
        time.sleep(LOCK_PAUSE_SECONDS)
    return job(NAME, task, version, TrainingStatus.RUNNING, error="the training process could not be stopped")
