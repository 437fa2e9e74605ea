"""OpenAI, by its Responses API.

https://platform.openai.com/docs/api-reference/responses
"""

from typing import Any
from urllib.parse import quote

from activities.remote.dialect import Completion, Stop, Unreadable
from activities.remote.errors import Overloaded, RateLimited
from activities.remote.http import bearer
from activities.remote.http_model import base_url
from activities.remote.openai_usage import usage
from activities.remote.wire_schema import wire_schema
from apprentice.prompts import Prompt, messages
from apprentice.settings import ProviderSettings, TaskSettings

CUSTOMARY_URL = "https://api.openai.com/v1"


class OpenAI:
    """Nothing is kept at OpenAI (`store: false`). A model that reasons refuses `temperature`: the user's choice."""

    def __init__(self, provider: ProviderSettings, task: TaskSettings) -> None:
        self._provider = provider
        self._base = base_url(provider, CUSTOMARY_URL)
        schema, strict = wire_schema(task)
        self._format = {"type": "json_schema", "name": task.name, "schema": schema, "strict": strict}

    @property
    def url(self) -> str:
        return f"{self._base}/responses"

    @property
    def probe(self) -> str:
        return f"{self._base}/models/{quote(self._provider.model, safe=':')}"

    def headers(self, key: str) -> dict[str, str]:
        """OpenAI knows no idempotency key. Ours is how its support finds a call that nobody here heard back from."""
        return bearer(self._provider) | ({"X-Client-Request-Id": key} if key else {})

    def body(self, prompt: Prompt, max_output_tokens: int) -> dict[str, Any]:
        system, *turns = messages(prompt)
        body: dict[str, Any] = {
            "model": self._provider.model,
            "instructions": system["content"],
            "input": turns,
            "max_output_tokens": max_output_tokens,
            "text": {"format": self._format},
            "store": False,
        }
        if self._provider.temperature is not None:
            body["temperature"] = self._provider.temperature
        if self._provider.reasoning_effort is not None:
            body["reasoning"] = {"effort": self._provider.reasoning_effort}
        return body

    def read(self, response: Any) -> Completion:
        """Raises RemoteError for a response that says that it failed and was billed for nothing."""
        try:
            status, output = response["status"], response["output"]
            said = [part for item in output if _is_answer(item) for part in item["content"]]
            text = "".join(part["text"] for part in said if part["type"] == "output_text")
            refusal = "".join(part["refusal"] for part in said if part["type"] == "refusal")
            why = (response.get("incomplete_details") or {}).get("reason")
            error = (response.get("error") or {}).get("code")
        except (LookupError, TypeError, AttributeError):
            raise Unreadable("this is no response of the Responses API") from None
        counted = usage(response.get("usage"), "input", "output")
        match status:
            case "completed":
                stop = Stop.REFUSED if refusal else Stop.DONE
            case "incomplete":
                stop = Stop.FILTERED if why == "content_filter" else Stop.CUT_OFF
            case "failed" if error in _POLICIES:
                stop = Stop.FILTERED
            case _:
                raise self._failure(error) if counted is None else Unreadable("the response is not complete")
        return Completion(text or refusal or None, stop, counted)

    def _failure(self, code: Any) -> Exception:
        said = f"openai model {self._provider.model!r}: the response failed"
        match code:
            case "server_error":
                return Overloaded(f"{said}, {code}")
            case "rate_limit_exceeded":
                return RateLimited(f"{said}, {code}")
            case _:
                return Unreadable("the response is not complete")


# No set: what is looked for in it may be anything.
_POLICIES = ("invalid_prompt", "bio_policy", "misalignment_policy_violation")


def _is_answer(item: dict[str, Any]) -> bool:
    """Not the model's reasoning, nor what it says on the way."""
    return item["type"] == "message" and item.get("phase") != "commentary"
