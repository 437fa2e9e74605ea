"""Any server that speaks OpenAI's Chat Completions: gateways, vLLM, llama.cpp, Ollama, LM Studio, ...

https://platform.openai.com/docs/api-reference/chat
"""

from typing import Any

from activities.remote.dialect import Completion, Stop, Unreadable
from activities.remote.http import bearer
from activities.remote.http_model import base_url
from activities.remote.openai_usage import usage
from activities.remote.wire_schema import wire_schema
from apprentice.prompts import Prompt, messages
from apprentice.settings import ProviderSettings, TaskSettings


class OpenAICompatible:
    """Raises InvalidRequest without a `base_url`."""

    def __init__(self, provider: ProviderSettings, task: TaskSettings) -> None:
        self._provider = provider
        self._base = base_url(provider)
        self._name = task.name
        self._schema, self._strict = wire_schema(task)

    @property
    def url(self) -> str:
        return f"{self._base}/chat/completions"

    @property
    def probe(self) -> str:
        return f"{self._base}/models"

    def headers(self, key: str) -> dict[str, str]:
        return bearer(self._provider) | {"Idempotency-Key": key}

    def body(self, prompt: Prompt, max_output_tokens: int) -> dict[str, Any]:
        """`max_tokens`, not its newer name: that is the one which all such servers know."""
        chosen = {"temperature": self._provider.temperature, "reasoning_effort": self._provider.reasoning_effort}
        return {
            "model": self._provider.model,
            "messages": messages(prompt),
            "max_tokens": max_output_tokens,
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": self._name, "schema": self._schema, "strict": self._strict},
            },
        } | {name: value for name, value in chosen.items() if value is not None}

    def read(self, response: Any) -> Completion:
        try:
            choice = response["choices"][0]
            message, why = choice["message"], _STOPS.get(choice.get("finish_reason"), Stop.DONE)
            text, declined = message.get("content"), message.get("refusal")
        except (LookupError, TypeError, AttributeError):
            raise Unreadable("this is no chat completion") from None
        stop = Stop.REFUSED if declined else why
        written = text or declined
        return Completion(
            written if isinstance(written, str) else None, stop, usage(response.get("usage"), "prompt", "completion")
        )


_STOPS = {"length": Stop.CUT_OFF, "content_filter": Stop.FILTERED}
