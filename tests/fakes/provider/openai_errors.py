"""How OpenAI says that something went wrong: the same in all its APIs.

https://platform.openai.com/docs/guides/error-codes
"""

from typing import Any

_TYPES = {
    "server_error": "server_error",
    "overloaded": "server_error",
    "rate_limit_exceeded": "requests",
    "insufficient_quota": "insufficient_quota",
}
# What it sends without a code of its own.
_UNNAMED = {"server_error", "overloaded"}


def body(code: str, message: str) -> dict[str, Any]:
    """The body of such a response."""
    kind = _TYPES.get(code, "invalid_request_error")
    return {"error": {"message": message, "type": kind, "param": None, "code": None if code in _UNNAMED else code}}
