"""Anthropic's Messages API.

https://platform.claude.com/docs/en/api/messages

The answer is held to the schema by `output_config.format` (structured outputs: every model from Claude 4.5 on), not by
a forced tool: the newest models refuse to be forced. Examples are plain turns, just what the format makes of an answer.
"""

import re
from typing import Any
from urllib.parse import quote

from activities.remote.dialect import Completion, Stop, Unreadable
from activities.remote.http import secret
from activities.remote.http_model import base_url
from activities.remote.tokens import count, part
from activities.remote.wire_schema import told, unions, wire_schema
from apprentice.prices import Usage
from apprentice.prompts import Prompt, messages, schema_text
from apprentice.settings import ProviderSettings, TaskSettings
from apprentice.thinking import claude_effort

BASE_URL = "https://api.anthropic.com"
# Not 2026-10-21: that one takes no temperature, and not all gateways know it. What else we send and read is the same.
# https://platform.claude.com/docs/en/api/migration-2026-10-21
VERSION = "2023-06-01"
# Of fields that may be one thing or another; a schema with more is "too complex" for the API.
# https://platform.claude.com/docs/en/build-with-claude/structured-outputs#schema-complexity-limits
MOST_UNIONS = 16

_STOPS = {
    "max_tokens": Stop.CUT_OFF,
    "model_context_window_exceeded": Stop.CUT_OFF,
    "refusal": Stop.REFUSED,
}
_FENCED = re.compile(r"\s*```(?:json)?\s*\n(.*)\n\s*```\s*", re.DOTALL)


class Anthropic:
    """The API has no idempotency key: a call in doubt cannot be repeated for free."""

    def __init__(self, provider: ProviderSettings, task: TaskSettings) -> None:
        self._provider = provider
        # Its own tools want the address without the version; the other providers' want it with.
        self._base = base_url(provider, BASE_URL).removesuffix("/v1")
        self._schema, strict = wire_schema(task)
        self._in_words = schema_text(task)
        self._held = strict and unions(self._schema) <= MOST_UNIONS

    @property
    def url(self) -> str:
        return f"{self._base}/v1/messages"

    @property
    def probe(self) -> str:
        return f"{self._base}/v1/models/{quote(self._provider.model, safe='')}"

    def headers(self, key: str) -> dict[str, str]:
        found = secret(self._provider.key_variable)
        return {"anthropic-version": VERSION} | ({} if found is None else {"x-api-key": found})

    def body(self, prompt: Prompt, max_output_tokens: int) -> dict[str, Any]:
        config: dict[str, Any] = {}
        if self._held:
            config["format"] = {"type": "json_schema", "schema": self._schema}
        if (effort := claude_effort(self._provider)) is not None:
            config["effort"] = effort
        chosen = {"temperature": self._provider.temperature, "output_config": config or None}
        return {
            "model": self._provider.model,
            "max_tokens": max_output_tokens,
            "system": prompt.system if self._held else told(prompt, self._in_words),
            "messages": messages(prompt)[1:],  # its system prompt stands apart
        } | {name: value for name, value in chosen.items() if value is not None}

    def read(self, response: Any) -> Completion:
        try:
            written = [block["text"] for block in response["content"] if block["type"] == "text"]
            stop, said = _STOPS.get(response.get("stop_reason"), Stop.DONE), response.get("usage")
        except (LookupError, TypeError, AttributeError):
            raise Unreadable("this is no message") from None
        if not all(isinstance(text, str) for text in written):
            raise Unreadable("this is no message")
        text = "".join(written)
        # Who is not held to the schema likes to wrap an answer as if it were for people.
        fenced = None if self._held else _FENCED.fullmatch(text)
        return Completion((fenced[1] if fenced else text) or None, stop, _usage(said))


def _usage(said: Any) -> Usage | None:
    """Its `input_tokens` are only those that have nothing to do with the cache. None if it does not say."""
    plain, written = count(part(said, "input_tokens")), count(part(said, "output_tokens"))
    if plain is None or written is None:
        return None
    cached = count(part(said, "cache_read_input_tokens")) or 0
    stored = count(part(said, "cache_creation_input_tokens")) or 0
    thought = count(part(said, "output_tokens_details", "thinking_tokens")) or 0
    return Usage(plain + cached + stored, written, cached=cached, cache_writes=stored, reasoning=min(thought, written))
