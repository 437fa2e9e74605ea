"""OpenAI's Chat Completions, as gateways and local servers speak it.

https://platform.openai.com/docs/api-reference/chat
"""

import json
import time
from collections.abc import Mapping
from typing import Any

from tests.fakes.provider import openai_errors
from tests.fakes.provider.api import Asked, Said, Stop, api_key, tokens

_FINISH: dict[Stop, str] = {"cut_off": "length", "filtered": "content_filter"}


class ChatCompletions:
    def claims(self, method: str, path: str) -> bool:
        return (method, path) in {("POST", "/v1/chat/completions"), ("GET", "/v1/models")}

    def asked(self, path: str, headers: Mapping[str, str], body: dict[str, Any]) -> Asked:
        return Asked(
            key=headers.get("Idempotency-Key"),
            api_key=api_key(headers),
            model=body["model"],
            schema=body["response_format"]["json_schema"]["schema"],
            text=body["messages"][-1]["content"],
            max_tokens=body["max_tokens"],
            prompt_tokens=tokens(json.dumps(body, ensure_ascii=False)),
        )

    def response(self, asked: Asked, said: Said) -> dict[str, Any]:
        refusal = "I cannot help with that." if said.stop == "refused" else None
        content = "" if said.stop == "filtered" else said.text
        return {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": asked.model,
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": content, "refusal": refusal},
                    "logprobs": None,
                    "finish_reason": _FINISH.get(said.stop, "stop"),
                }
            ],
            "usage": {
                "prompt_tokens": said.input_tokens,
                "completion_tokens": said.output_tokens,
                "total_tokens": said.input_tokens + said.output_tokens,
                "prompt_tokens_details": {"cached_tokens": said.cached_tokens},
                "completion_tokens_details": {"reasoning_tokens": said.reasoning_tokens},
            },
        }

    def error(self, status: int, code: str, message: str) -> dict[str, Any]:
        return openai_errors.body(code, message)

    def models(self, path: str) -> dict[str, Any] | None:
        model = {"id": "teacher", "object": "model", "created": 1_700_000_000, "owned_by": "us"}
        return {"object": "list", "data": [model]}
