"""The tokens of a call as OpenAI counts them: its two APIs differ in the words only."""

from typing import Any

from activities.remote.tokens import count, part
from apprentice.prices import Usage


def usage(said: Any, read: str, written: str) -> Usage | None:
    """`read` and `written` are the API's words, such as input and output; None where it does not say its tokens."""
    input, output = count(part(said, f"{read}_tokens")), count(part(said, f"{written}_tokens"))
    if input is None or output is None:
        return None
    about_input, about_output = f"{read}_tokens_details", f"{written}_tokens_details"
    cached = min(count(part(said, about_input, "cached_tokens")) or 0, input)
    cache_writes = min(count(part(said, about_input, "cache_write_tokens")) or 0, input - cached)
    reasoning = min(count(part(said, about_output, "reasoning_tokens")) or 0, output)
    return Usage(input, output, cached, cache_writes, reasoning)
