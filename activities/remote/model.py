"""What every remote model is."""

from typing import Protocol

from apprentice.messages import Answer, TaskRequest
from apprentice.settings import TaskSettings


class RemoteModel(Protocol):
    """One provider's model. It tries once and raises RemoteError; retrying is the caller's work."""

    @property
    def idempotent(self) -> bool:
        """Whether the provider answers (and bills) a repeated key only once."""
        ...

    async def ask(self, request: TaskRequest, settings: TaskSettings, key: str) -> Answer:
        """The model's answer, priced. `key` is the same for every attempt at this request."""
        ...
