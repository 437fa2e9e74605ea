"""What a local model is."""

from pathlib import Path
from typing import Any, Protocol

from apprentice.messages import Answer
from apprentice.settings import TaskSettings


class LocalError(Exception):
    """Why a local model gave no answer. No message holds an input, an output or a key. Retrying at once is no use."""


class ModelUnavailable(LocalError):
    """A version that cannot be served: it is missing, damaged or of another library version. Asking again is no use.

    `reason` names the path and what to do; `version` is None for what concerns them all.
    """

    def __init__(self, task: str, version: int | None, reason: str) -> None:
        which = "" if version is None else f" version {version}"
        super().__init__(f"{task}: local model{which} cannot be served: {reason}")
        self.task = task
        self.version = version
        self.reason = reason


class ServerDown(LocalError):
    """The model server cannot be reached, gave no answer in time, or failed. It is probed until it is back."""


class ServerBusy(LocalError):
    """The server is alive, but has more to do than the answer could wait for."""


class BadAnswer(LocalError):
    """What the model wrote cannot be served: cut off, not JSON, or outside the output schema."""


class LocalModel(Protocol):
    """Serves all versions of one task's local model. Safe to use from any number of coroutines at once."""

    async def answer(self, input: dict[str, Any], version: int) -> Answer:
        """Answer one input, loading the version if it is not warm. Raises LocalError."""
        ...

    async def load(self, version: int) -> None:
        """Load and warm a version, so that its first request waits for nothing; others stay warm beside it.

        Raises ModelUnavailable, ServerDown.
        """
        ...

    async def unload(self, version: int) -> None:
        """Let go of a version once its answers in flight have ended; asked again, it is loaded again. Never raises."""
        ...

    async def close(self) -> None:
        """Let go of all versions, each once its answers in flight have ended. Never raises."""
        ...

    async def healthy(self) -> bool:
        """Whether the backend can serve at all. Never raises."""
        ...

    async def check(self) -> str:
        """What was found, in one line for a person. Raises ModelUnavailable or ServerDown that says what to do."""
        ...


def version_dir(settings: TaskSettings, version: int) -> Path:
    """Where a version of a task's local model lives: `model_dir/<task>/v<NNNN>`."""
    return Path(settings.local.model_dir) / settings.name / f"v{version:04d}"
