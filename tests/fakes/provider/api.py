"""What tells one provider's API from another's, seen from the provider's side: what was asked, how an answer looks."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

# Why the model stopped writing.
Stop = Literal["done", "cut_off", "refused", "filtered"]
# In OpenAI's words; an API that has others translates them.
Code = Literal[
    "server_error",  # 500
    "overloaded",  # 503
    "rate_limit_exceeded",  # 429
    "insufficient_quota",  # 429
    "invalid_api_key",  # 401
    "model_not_found",  # 404
    "not_found",  # 404
]


@dataclass(frozen=True)
class Asked:
    """One request. `key` is what makes a repeated request known as one; `text` is the user's last message.

    `schema` is the JSON Schema that the answer has to fit, None where the request names none. `prompt_tokens` is what
    the request is billed for: `tokens(body)`, unless the API knows better.
    """

    key: str | None
    api_key: str | None
    model: str
    schema: dict[str, Any] | None
    text: str
    max_tokens: int
    prompt_tokens: int


@dataclass(frozen=True)
class Said:
    """What the model said. `text` is None where it did not come to write any.

    `input_tokens` is everything that was read, `cached_tokens` the part of it that came from the cache;
    `output_tokens` is everything that was written, `reasoning_tokens` the part of it that nobody sees. An API that
    counts otherwise takes the parts out.
    """

    text: str | None
    stop: Stop
    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0
    reasoning_tokens: int = 0


class Api(Protocol):
    """One provider's API. No state, no I/O. Paths come as the real API has them: without the fake's own prefix."""

    def claims(self, method: str, path: str) -> bool:
        """Whether this path is one of the API's."""
        ...

    def asked(self, path: str, headers: Mapping[str, str], body: dict[str, Any]) -> Asked:
        """What a POST asks for. `headers` are found whatever the case of their names."""
        ...

    def response(self, asked: Asked, said: Said) -> dict[str, Any]:
        """The body of a 200. Its usage is at `usage` or `usageMetadata`, so that it can be left out."""
        ...

    def error(self, status: int, code: str, message: str) -> dict[str, Any]:
        """The body of a response that is no answer; `code` is a `Code`."""
        ...

    def models(self, path: str) -> dict[str, Any] | None:
        """The body of the GET that costs nothing; None where there is no such model (`unknown`)."""
        ...


def tokens(text: str) -> int:
    """How many tokens the fake counts: four characters each."""
    return len(text) // 4


def unknown(model: str) -> bool:
    """The fake knows every model but those."""
    return model.startswith("no-such")


def api_key(headers: Mapping[str, str]) -> str | None:
    """The key in whichever header it stands."""
    bearer = (headers.get("Authorization") or "").removeprefix("Bearer ")
    return bearer or headers.get("x-api-key") or headers.get("x-goog-api-key")
