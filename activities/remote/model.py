"""What every remote model is."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from apprentice.messages import Answer, TaskRequest
from apprentice.prompts import Prompt


@dataclass(frozen=True, slots=True)
class Question:
    """One request as a remote model gets it. `key` is the same for every attempt at it.

    `limit` is the most that its answer can cost: an answer that does not say its price is counted at that.
    """

    request: TaskRequest
    prompt: Prompt
    key: str
    limit: Decimal
    max_output_tokens: int


class RemoteModel(Protocol):
    """One provider's model. It tries once and raises RemoteError; retrying is the caller's work."""

    @property
    def idempotent(self) -> bool:
        """Whether the provider answers (and bills) a repeated key only once."""
        ...

    async def ask(self, question: Question) -> Answer:
        """The model's answer, priced. Raises RemoteError."""
        ...

    async def check(self) -> None:
        """Whether it could be asked (address, key, model), without paying. Raises RemoteError."""
        ...
