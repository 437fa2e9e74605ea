"""The tokens of a call as OpenAI counts them: its two APIs differ in the words only."""

from typing import Any

from apprentice.prices import Usage


def usage(said: Any, read: str, written: str) -> Usage | None:
    """`read` and `written` are the API's words, such as input and output; None where it does not say its tokens."""
    if not isinstance(said, dict):
        return None
    input, output = _count(said.get(f"{read}_tokens")), _count(said.get(f"{written}_tokens"))
    if input is None or output is None:
        return None
    about_input, about_output = _details(said, read), _details(said, written)
    cached = min(_count(about_input.get("cached_tokens")) or 0, input)
    cache_writes = min(_count(about_input.get("cache_write_tokens")) or 0, input - cached)
    reasoning = min(_count(about_output.get("reasoning_tokens")) or 0, output)
    return Usage(input, output, cached, cache_writes, reasoning)


def _details(said: dict[str, Any], name: str) -> dict[str, Any]:
    found = said.get(f"{name}_tokens_details")
    return found if isinstance(found, dict) else {}


def _count(value: Any) -> int | None:
    return value if type(value) is int and value >= 0 else None
