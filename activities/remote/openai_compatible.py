"""Any server that speaks OpenAI's Chat Completions: gateways, vLLM, llama.cpp, Ollama, LM Studio, ...

https://platform.openai.com/docs/api-reference/chat
"""

import json
import time
from decimal import Decimal
from typing import Any

from activities.remote.errors import ContentRefused, InvalidAnswer, InvalidRequest
from activities.remote.http import Endpoint, bearer
from activities.remote.prompt import messages, wire_schema
from apprentice import prices
from apprentice.messages import Answer, Source, TaskRequest
from apprentice.settings import ProviderSettings, TaskSettings


class OpenAICompatible:
    """One model behind `base_url`. Raises InvalidRequest without a `base_url` or a price."""

    def __init__(self, provider: ProviderSettings, task: TaskSettings) -> None:
        if provider.base_url is None:
            raise InvalidRequest(f"task {task.name!r}: {provider.provider} needs `base_url` in the configuration")
        price = prices.price_of(provider)
        if price is None:
            raise InvalidRequest(f"model {provider.model!r} has no known price; set its `price` in the configuration")
        self._price = price
        self._provider = provider
        self._url = f"{provider.base_url.rstrip('/')}/chat/completions"
        self._endpoint = Endpoint(provider)

    @property
    def idempotent(self) -> bool:
        return self._provider.idempotent

    async def ask(self, request: TaskRequest, settings: TaskSettings, key: str) -> Answer:
        """Raises RemoteError."""
        bound = prices.reservation(settings, request.input)
        headers = bearer(self._provider) | {"Idempotency-Key": key}
        began = time.perf_counter()
        completion = await self._endpoint.post(self._url, self.body(request, settings), headers, bound)
        return self._answer(completion, bound, time.perf_counter() - began)

    def body(self, request: TaskRequest, settings: TaskSettings) -> dict[str, Any]:
        """What is sent. `max_tokens`, not its newer name: that is the one which all such servers know."""
        schema, strict = wire_schema(settings)
        return {
            "model": self._provider.model,
            "messages": messages(request, settings),
            "max_tokens": self._provider.max_output_tokens,
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": settings.name, "schema": schema, "strict": strict},
            },
        }

    def _answer(self, completion: Any, bound: Decimal, seconds: float) -> Answer:
        tokens = _tokens(completion)
        cost = bound if tokens is None else prices.cost(self._price, *tokens)
        input_tokens, output_tokens = tokens or (0, 0)
        return Answer(
            source=Source.REMOTE,
            output=self._output(completion, cost),
            model=self._provider.model,
            cost=cost,
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            latency_seconds=seconds,
        )

    def _output(self, completion: Any, cost: Decimal) -> dict[str, Any]:
        who = f"{self._provider.provider} model {self._provider.model!r}"
        try:
            choice = completion["choices"][0]
            message, finish = choice["message"], choice.get("finish_reason")
            text, declined = message.get("content"), message.get("refusal")
        except (LookupError, TypeError, AttributeError):
            raise InvalidAnswer(f"{who}: this is no chat completion", cost) from None
        if finish == "content_filter" or declined:
            raise ContentRefused(f"{who}: " + ("the model declined" if declined else "a content filter cut in"), cost)
        if finish == "length":
            limit = self._provider.max_output_tokens
            raise InvalidAnswer(f"{who}: cut off; max_output_tokens is {limit}", cost)
        try:
            output = json.loads(text)
        except (ValueError, TypeError, RecursionError):
            raise InvalidAnswer(f"{who}: the text of the answer is not JSON", cost) from None
        if not isinstance(output, dict):
            raise InvalidAnswer(f"{who}: the answer is not a JSON object", cost)
        return output


def _tokens(completion: Any) -> tuple[int, int] | None:
    """Input and output tokens as the server counted them; None if it does not say."""
    usage = completion.get("usage") if isinstance(completion, dict) else None
    if not isinstance(usage, dict):
        return None
    read, written = usage.get("prompt_tokens"), usage.get("completion_tokens")
    if type(read) is not int or type(written) is not int or min(read, written) < 0:
        return None
    return read, written
