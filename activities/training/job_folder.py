"""The folder of one embedded training job: its order, its lock, its error.

A job is alive exactly as long as its process lives, because the process holds the lock (flock) on an open file that it
inherited; the kernel drops it at any kind of death. So no process id has to be believed, and no clock.

    <model_dir>/<task>/.v0001.job/   order.json, lock, error.json, log.txt, model/ (until it is complete)
    <model_dir>/<task>/v0001/        the complete version
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from apprentice.messages import TrainingStatus


class Order(BaseModel):
    """What the job has to do. `attempt` counts from 1; paths are absolute."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: str
    version: int
    attempt: int
    dataset: str
    settings: dict[str, Any]


class Failure(BaseModel):
    """How a job ended without a model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    status: TrainingStatus
    error: str


@dataclass(frozen=True)
class JobFolder:
    """`path` is the job's own folder, `result` the version's."""

    path: Path
    result: Path

    @property
    def order_file(self) -> Path:
        return self.path / "order.json"

    @property
    def log_file(self) -> Path:
        return self.path / "log.txt"

    @property
    def draft(self) -> Path:
        """Where the model is written before it is moved to `result` in one step."""
        return self.path / "model"

    @property
    def complete(self) -> bool:
        return self.result.is_dir()

    @property
    def order(self) -> Order | None:
        return _read(self.order_file, Order)

    @property
    def failure(self) -> Failure | None:
        return _read(self.path / "error.json", Failure)

    def fail(self, failure: Failure) -> None:
        self.write(self.path / "error.json", failure)

    def write(self, file: Path, content: BaseModel) -> None:
        """Write in one step: a reader sees all of it or none."""
        draft = file.with_suffix(".tmp")
        draft.write_text(content.model_dump_json(), encoding="utf-8")
        os.replace(draft, file)

    def lock(self, *, shared: bool = False) -> int | None:
        """The file descriptor of the lock, now held; None if another holds it. Closing it lets go.

        Jobs and starts hold it alone; those who only look share it, so that they are never taken for a job.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return None
        return descriptor

    @contextmanager
    def unlocked(self) -> Iterator[bool]:
        """Whether no job is alive; while the block runs, none can start."""
        descriptor = self.lock(shared=True)
        try:
            yield descriptor is not None
        finally:
            if descriptor is not None:
                os.close(descriptor)

    @property
    def process_id(self) -> int | None:
        """The process that holds the lock, as it said itself. Believe it only while the lock is held."""
        try:
            return int((self.path / "lock").read_text(encoding="ascii"))
        except (OSError, ValueError):
            return None


def _read[T: BaseModel](file: Path, model: type[T]) -> T | None:
    try:
        return model.model_validate(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return None
