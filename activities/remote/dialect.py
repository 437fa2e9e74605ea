"""What tells one provider's API from another's: how a prompt is written down, how a response is read.

A dialect does no I/O. `HttpModel` sends what it wrote, a batch sends many of them in one file.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol, runtime_checkable

from apprentice.prices import Usage
from apprentice.prompts import Prompt


class Stop(Enum):
    """Why a model stopped writing."""

    DONE = "done"
    CUT_OFF = "cut off"
    REFUSED = "the model declined"
    FILTERED = "a content filter cut in"


@dataclass(frozen=True, slots=True)
class Completion:
    """A response as it was read. `text` is JSON if all is well; `usage` is None where the provider does not say."""

    text: str | None
    stop: Stop
    usage: Usage | None


class Unreadable(ValueError):
    """A response that is none of this API; the message says what it lacks, never what it holds."""


class Dialect(Protocol):
    """One provider's API for one task: made once from settings, safe to use from any number of coroutines."""

    @property
    def url(self) -> str:
        """Where a prompt is POSTed to."""
        ...

    def headers(self, key: str) -> dict[str, str]:
        """Key, API version, and `key` as the idempotency key where the API has one. Raises AuthFailed."""
        ...

    def body(self, prompt: Prompt, max_output_tokens: int) -> dict[str, Any]:
        """What is sent: prompt, output schema, limits."""
        ...

    def read(self, response: Any) -> Completion:
        """What came back: the parsed JSON of a 2xx. Raises Unreadable."""
        ...

    @property
    def probe(self) -> str:
        """A URL whose GET costs nothing and tells whether the key and the model are good."""
        ...


@runtime_checkable
class SignsIn(Protocol):
    """A dialect whose headers need something that has to be fetched first."""

    async def sign_in(self) -> None:
        """Called before `headers`, for each call. Raises AuthFailed, Unreachable."""
        ...
