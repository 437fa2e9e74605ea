"""What a training runner is."""

from pathlib import Path
from typing import Protocol

from apprentice.messages import TrainingJob, TrainingRequest
from apprentice.settings import TaskSettings


class TrainingLost(Exception):
    """The job is gone without a result and without an error, as after a kill -9. Starting it again is the remedy."""


class TrainingRunner(Protocol):
    """Trains model versions somewhere: in a process on this machine, at a provider."""

    async def start(self, request: TrainingRequest, settings: TaskSettings, dataset_file: Path) -> TrainingJob:
        """Start the job of (task, version), or adopt the one that runs or has finished: calling twice trains once.

        `dataset_file` is JSONL of `{"input", "output"}` rows, the training part only.
        """
        ...

    async def poll(self, job: TrainingJob, settings: TaskSettings) -> TrainingJob:
        """The job as it is now. Raises TrainingLost when it has to be started again."""
        ...

    async def cancel(self, job: TrainingJob, settings: TaskSettings) -> TrainingJob:
        """Stop the job if it runs. A finished job stays what it is."""
        ...
