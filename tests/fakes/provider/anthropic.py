"""Anthropic's Messages.

https://platform.claude.com/docs/en/api/messages
"""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from tests.fakes.provider.api import Asked, Said, Stop, api_key, tokens, unknown

# Ours, and the one of the SDK that judges us: it takes no sampling parameters any more.
VERSIONS = ("2023-06-01", "2026-10-21")
_REASONS: dict[Stop, str] = {"done": "end_turn", "cut_off": "max_tokens", "refused": "refusal", "filtered": "refusal"}
_TYPES = {
    "server_error": "api_error",
    "overloaded": "overloaded_error",
    "rate_limit_exceeded": "rate_limit_error",
    "insufficient_quota": "rate_limit_error",
    "invalid_api_key": "authentication_error",
    "model_not_found": "not_found_error",
    "not_found": "not_found_error",
}


class Messages:
    """It has no content filter beside the model's own refusal, and no idempotency key."""

    def claims(self, method: str, path: str) -> bool:
        return (method == "POST" and path == "/v1/messages") or (method == "GET" and path.startswith("/v1/models/"))

    def asked(self, path: str, headers: Mapping[str, str], body: dict[str, Any]) -> Asked:
        version = headers["anthropic-version"]
        assert version in VERSIONS
        assert version == VERSIONS[0] or not {"temperature", "top_p", "top_k"} & set(body)
        held = body.get("output_config", {}).get("format")
        return Asked(
            key=None,
            api_key=api_key(headers),
            model=body["model"],
            schema=_in_words(body["system"]) if held is None else held["schema"],
            text=body["messages"][-1]["content"],
            max_tokens=body["max_tokens"],
            prompt_tokens=tokens(json.dumps(body, ensure_ascii=False)),
        )

    def response(self, asked: Asked, said: Said) -> dict[str, Any]:
        thinking = [{"type": "thinking", "thinking": "", "signature": "c2ln"}] if said.reasoning_tokens else []
        return {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": asked.model,
            "content": thinking + ([] if said.text is None else [{"type": "text", "text": said.text}]),
            "stop_reason": _REASONS[said.stop],
            "stop_sequence": None,
            "usage": {
                "input_tokens": said.input_tokens - said.cached_tokens,
                "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": said.cached_tokens,
                "output_tokens": said.output_tokens,
                "output_tokens_details": {"thinking_tokens": said.reasoning_tokens},
                "service_tier": "standard",
            },
        }

    def error(self, status: int, code: str, message: str) -> dict[str, Any]:
        details = {"details": {"error_code": "enforced_spend_limit_reached"}} if code == "insufficient_quota" else {}
        return {"type": "error", "error": {"type": _TYPES[code], "message": message} | details, "request_id": "req_1"}

    def models(self, path: str) -> dict[str, Any] | None:
        model = unquote(path.rpartition("/")[2])
        if unknown(model):
            return None
        about = {"type": "model", "display_name": model, "created_at": "2026-01-01T00:00:00Z", "lifecycle": "active"}
        return {"id": model} | about


def _in_words(system: str) -> dict[str, Any]:
    """The schema that ends the system prompt, where no format holds the model to it."""
    found: dict[str, Any] = json.loads(system.splitlines()[-1])
    return found
