"""Google's Gemini: the Gemini API, and the same through Vertex AI.

https://ai.google.dev/api/generate-content
https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference
"""

from typing import Any
from urllib.parse import quote

from activities.remote.dialect import Completion, Stop, Unreadable
from activities.remote.google_token import GoogleToken
from activities.remote.http import secret
from activities.remote.http_model import base_url
from activities.remote.tokens import count, part
from activities.remote.wire_schema import told, wire_schema
from apprentice.prices import Usage
from apprentice.prompts import Prompt, schema_text
from apprentice.settings import ProviderSettings, TaskSettings, VertexSettings
from apprentice.thinking import gemini_thinking

BASE_URL = "https://generativelanguage.googleapis.com/v1beta"

_STOPS = {"MAX_TOKENS": Stop.CUT_OFF} | dict.fromkeys(
    (
        "SAFETY",
        "RECITATION",
        "LANGUAGE",
        "BLOCKLIST",
        "PROHIBITED_CONTENT",
        "SPII",
        "ESCALATION",
        "MODEL_ARMOR",
    ),
    Stop.FILTERED,
)


class Google:
    """The API has no idempotency key: a call in doubt cannot be repeated for free."""

    def __init__(self, provider: ProviderSettings, task: TaskSettings) -> None:
        self._provider = provider
        self._schema, self._held = wire_schema(task)
        self._in_words = schema_text(task)
        model = quote(provider.model, safe="")
        if provider.vertex is None:
            self._token, base = None, base_url(provider, BASE_URL)
            self.url = f"{base}/models/{model}:generateContent"
            self.probe = f"{base}/models/{model}"
        else:
            self._token, base = GoogleToken(provider), base_url(provider, vertex_url(provider.vertex))
            place = f"projects/{quote(provider.vertex.project, safe='')}/locations/{provider.vertex.location}"
            self.url = f"{base}/{place}/publishers/google/models/{model}:generateContent"
            self.probe = f"{base}/publishers/google/models/{model}"

    async def sign_in(self) -> None:
        """Raises AuthFailed, Unreachable."""
        if self._token is not None:
            await self._token.refresh()

    def headers(self, key: str) -> dict[str, str]:
        if self._token is not None:
            return self._token.headers()
        found = secret(self._provider.key_variable)
        return {} if found is None else {"x-goog-api-key": found}

    def body(self, prompt: Prompt, max_output_tokens: int) -> dict[str, Any]:
        """`responseJsonSchema`, not `responseSchema`: the older one knows no numbers to choose from, and no null."""
        config = {
            "responseMimeType": "application/json",
            "responseJsonSchema": _spelled(self._schema) if self._held else None,
            "maxOutputTokens": max_output_tokens,
            "temperature": self._provider.temperature,
            "thinkingConfig": gemini_thinking(self._provider),
        }
        system = prompt.system if self._held else told(prompt, self._in_words)
        return {
            "systemInstruction": {"parts": [{"text": system}]},
            "contents": _contents(prompt),
            "generationConfig": {name: value for name, value in config.items() if value is not None},
        }

    def read(self, response: Any) -> Completion:
        usage = _usage(part(response, "usageMetadata"))
        if part(response, "promptFeedback", "blockReason") is not None:
            return Completion(None, Stop.FILTERED, usage)
        try:
            candidate = response["candidates"][0]
            stop = _STOPS.get(candidate.get("finishReason"), Stop.DONE)
            # One that was stopped before it wrote has no content, or one without parts.
            parts = candidate.get("content", {}).get("parts", ())
            text = "".join(one["text"] for one in parts if "text" in one and not one.get("thought"))
        except (LookupError, TypeError, AttributeError):
            raise Unreadable("this is no generated content") from None
        return Completion(text or None, stop, usage)


def vertex_url(vertex: VertexSettings) -> str:
    """Where Vertex AI is for a location: a region, a multi-region, or `global`."""
    location = vertex.location
    if location == "global":
        return "https://aiplatform.googleapis.com/v1"
    if location in ("us", "eu"):
        return f"https://aiplatform.{location}.rep.googleapis.com/v1"
    return f"https://{location}-aiplatform.googleapis.com/v1"


def _contents(prompt: Prompt) -> list[dict[str, Any]]:
    turns = [(role, text) for turn in prompt.turns for role, text in zip(("user", "model"), turn, strict=True)]
    return [{"role": role, "parts": [{"text": text}]} for role, text in (*turns, ("user", prompt.user))]


def _spelled(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema in the words that Gemini knows: it takes texts and numbers to choose from, no truth values.

    A choice of one truth value is left open; the answer is checked anyway.
    """
    if schema.get("type") == "boolean":
        return {"type": "boolean"}
    if "anyOf" in schema:
        return schema | {"anyOf": [_spelled(one) for one in schema["anyOf"]]}
    if "properties" in schema:
        return schema | {"properties": {name: _spelled(one) for name, one in schema["properties"].items()}}
    return schema | {"items": _spelled(schema["items"])} if "items" in schema else schema


def _usage(said: Any) -> Usage | None:
    """Counts that are zero are left out. Thoughts come on top of the answer, and cost the same; None if unsaid."""
    read = count(part(said, "promptTokenCount"))
    if read is None:
        return None
    thought = count(part(said, "thoughtsTokenCount")) or 0
    written = (count(part(said, "candidatesTokenCount")) or 0) + thought
    # What the parts leave out is in the sum.
    written = max(written, (count(part(said, "totalTokenCount")) or 0) - read)
    cached = count(part(said, "cachedContentTokenCount")) or 0
    return Usage(read, written, cached=min(cached, read), reasoning=thought)
