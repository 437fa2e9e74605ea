"""OpenAI's Responses.

https://platform.openai.com/docs/api-reference/responses
"""

import json
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from tests.fakes.provider import openai_errors
from tests.fakes.provider.api import Asked, Said, Stop, api_key, tokens, unknown

_INCOMPLETE: dict[Stop, str] = {"cut_off": "max_output_tokens", "filtered": "content_filter"}


class Responses:
    def claims(self, method: str, path: str) -> bool:
        return (method == "POST" and path == "/v1/responses") or (method == "GET" and path.startswith("/v1/models/"))

    def asked(self, path: str, headers: Mapping[str, str], body: dict[str, Any]) -> Asked:
        return Asked(
            key=headers.get("X-Client-Request-Id"),
            api_key=api_key(headers),
            model=body["model"],
            schema=body["text"]["format"]["schema"],
            text=body["input"][-1]["content"],
            max_tokens=body["max_output_tokens"],
            prompt_tokens=tokens(json.dumps(body, ensure_ascii=False)),
        )

    def response(self, asked: Asked, said: Said) -> dict[str, Any]:
        incomplete = _INCOMPLETE.get(said.stop)
        return {
            "id": "resp_1",
            "object": "response",
            "created_at": int(time.time()),
            "status": "incomplete" if incomplete else "completed",
            "error": None,
            "incomplete_details": {"reason": incomplete} if incomplete else None,
            "instructions": None,
            "max_output_tokens": asked.max_tokens,
            "metadata": {},
            "model": asked.model,
            "output": _output(said),
            "parallel_tool_calls": True,
            "store": False,
            "temperature": 1.0,
            "tool_choice": "auto",
            "tools": [],
            "top_p": 1.0,
            "usage": {
                "input_tokens": said.input_tokens,
                "input_tokens_details": {"cached_tokens": said.cached_tokens, "cache_write_tokens": 0},
                "output_tokens": said.output_tokens,
                "output_tokens_details": {"reasoning_tokens": said.reasoning_tokens},
                "total_tokens": said.input_tokens + said.output_tokens,
            },
        }

    def error(self, status: int, code: str, message: str) -> dict[str, Any]:
        return openai_errors.body(code, message)

    def models(self, path: str) -> dict[str, Any] | None:
        model = unquote(path.rpartition("/")[2])
        return (
            None if unknown(model) else {"id": model, "object": "model", "created": 1_700_000_000, "owned_by": "openai"}
        )


def _output(said: Said) -> list[dict[str, Any]]:
    """The items: the reasoning, whose text OpenAI keeps, then the message if there is one."""
    reasoning = [{"type": "reasoning", "id": "rs_1", "summary": []}] if said.reasoning_tokens else []
    if said.stop == "refused":
        content: dict[str, Any] = {"type": "refusal", "refusal": "I cannot help with that."}
    elif said.text is None:
        return reasoning
    else:
        content = {"type": "output_text", "text": said.text, "annotations": [], "logprobs": []}
    status = "incomplete" if said.stop in _INCOMPLETE else "completed"
    return [*reasoning, {"type": "message", "id": "msg_1", "role": "assistant", "status": status, "content": [content]}]
