"""What a local model is."""

from pathlib import Path
from typing import Any, Protocol

from apprentice.messages import Answer
from apprentice.settings import TaskSettings


class ModelUnavailable(Exception):
    """A version that cannot be served: it is missing, damaged or of another library version. Asking again is no use.

    `reason` names the path and what to do.
    """

    def __init__(self, task: str, version: int, reason: str) -> None:
        super().__init__(f"{task}: local model version {version} cannot be served: {reason}")
        self.task = task
        self.version = version


class LocalModel(Protocol):
    """Serves all versions of one task's local model. Safe to use from any number of coroutines at once."""

    async def answer(self, input: dict[str, Any], version: int) -> Answer:
        """Answer one input, loading the version if it is not warm. Raises ModelUnavailable."""
        ...

    async def load(self, version: int) -> None:
        """Load and warm a version, so that its first request waits for nothing; others stay warm beside it.

        Raises ModelUnavailable.
        """
        ...

    async def healthy(self) -> bool:
        """Whether the backend can serve at all. Never raises."""
        ...


def version_dir(settings: TaskSettings, version: int) -> Path:
    """Where a version of a task's local model lives: `model_dir/<task>/v<NNNN>`."""
    return Path(settings.local.model_dir) / settings.name / f"v{version:04d}"
