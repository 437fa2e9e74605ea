"""Google's Gemini: the Gemini API and, under other paths, Vertex AI.

https://ai.google.dev/api/generate-content
"""

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from tests.fakes.provider.api import Asked, Said, Stop, api_key, tokens, unknown

_GENERATE = re.compile(
    r"/v1beta/models/([^/]+):generateContent|/v1/projects/[^/]+/locations/[^/]+/publishers/google/models/([^/]+):generateContent"
)
_MODEL = re.compile(r"/v1beta/models/([^/]+)|/v1/publishers/google/models/([^/]+)")
_REASONS: dict[Stop, str] = {"done": "STOP", "cut_off": "MAX_TOKENS", "refused": "SAFETY"}
_STATUSES = {
    "server_error": "INTERNAL",
    "overloaded": "UNAVAILABLE",
    "rate_limit_exceeded": "RESOURCE_EXHAUSTED",
    "insufficient_quota": "RESOURCE_EXHAUSTED",
    "invalid_api_key": "UNAUTHENTICATED",
    "model_not_found": "NOT_FOUND",
    "not_found": "NOT_FOUND",
}
_RPC = "type.googleapis.com/google.rpc"
_QUOTAS = {
    "rate_limit_exceeded": "GenerateRequestsPerMinutePerProjectPerModel",
    "insufficient_quota": "GenerateRequestsPerDayPerProjectPerModel-FreeTier",
}


class GenerateContent:
    """No idempotency key, and no refusal beside the filters. The key may be an API key or a Google token."""

    def claims(self, method: str, path: str) -> bool:
        return (_GENERATE if method == "POST" else _MODEL).fullmatch(path) is not None

    def asked(self, path: str, headers: Mapping[str, str], body: dict[str, Any]) -> Asked:
        config = body["generationConfig"]
        assert config["responseMimeType"] == "application/json"
        assert all(turn["role"] in ("user", "model") for turn in body["contents"])
        held = config.get("responseJsonSchema")
        in_words = body["systemInstruction"]["parts"][-1]["text"].splitlines()[-1]
        return Asked(
            key=None,
            api_key=api_key(headers),
            model=_name(_GENERATE, path),
            schema=json.loads(in_words) if held is None else held,
            text=body["contents"][-1]["parts"][-1]["text"],
            max_tokens=config["maxOutputTokens"],
            prompt_tokens=tokens(json.dumps(body, ensure_ascii=False)),
        )

    def response(self, asked: Asked, said: Said) -> dict[str, Any]:
        """Counts that are zero are left out, as Google does."""
        counts = {
            "promptTokenCount": said.input_tokens,
            "cachedContentTokenCount": said.cached_tokens,
            "candidatesTokenCount": said.output_tokens - said.reasoning_tokens,
            "thoughtsTokenCount": said.reasoning_tokens,
            "totalTokenCount": said.input_tokens + said.output_tokens,
        }
        about = {
            "usageMetadata": {name: count for name, count in counts.items() if count},
            "modelVersion": asked.model,
            "responseId": "response-1",
        }
        if said.stop == "filtered":
            return {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}} | about
        thought = [{"text": "Hm.", "thought": True}] if said.reasoning_tokens else []
        content: dict[str, Any] = {"role": "model"}
        if said.text is not None:
            content["parts"] = [*thought, {"text": said.text}]
        return {"candidates": [{"content": content, "finishReason": _REASONS[said.stop], "index": 0}]} | about

    def error(self, status: int, code: str, message: str) -> dict[str, Any]:
        details: list[dict[str, Any]] = []
        if quota := _QUOTAS.get(code):
            details.append({"@type": f"{_RPC}.QuotaFailure", "violations": [{"quotaId": quota, "quotaValue": "10"}]})
            details.append({"@type": f"{_RPC}.RetryInfo", "retryDelay": "12.5s"})
        if code == "invalid_api_key":
            reason = {"reason": "API_KEY_INVALID", "domain": "googleapis.com"}
            details.append({"@type": f"{_RPC}.ErrorInfo"} | reason)
        return {"error": {"code": status, "message": message, "status": _STATUSES[code], "details": details}}

    def models(self, path: str) -> dict[str, Any] | None:
        name = _name(_MODEL, path)
        if unknown(name):
            return None
        return {"name": f"models/{name}", "version": "001", "supportedGenerationMethods": ["generateContent"]}


def _name(pattern: re.Pattern[str], path: str) -> str:
    found = pattern.fullmatch(path)
    assert found is not None
    return unquote(next(one for one in found.groups() if one))
