"""A question to a local server that speaks OpenAI's Chat Completions: vLLM and llama.cpp.

https://docs.vllm.ai/en/latest/serving/openai_compatible_server/
https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md

The log-probabilities are those of all tokens of the answer. vLLM gives them as the schema left them: a token without an
alternative counts as certain. llama.cpp gives the model's own, before the schema: a token that it was forced to write
counts as unlikely. Both order answers by how sure the model was, which is what confidence is for.
"""

from typing import Any

from activities.local.completion import Completion, read
from activities.local.model import BadAnswer, ServerDown
from activities.local.server import Refused, Server, ServerFailed
from activities.remote.tokens import count
from apprentice.prompts import Prompt, messages
from apprentice.schema import compile_schema
from apprentice.schema_sample import sample
from apprentice.settings import TaskSettings

PATH = "/v1/chat/completions"
MODELS_PATH = "/v1/models"
SEED = 0
_TOO_LONG = ("exceed_context_size_error", "maximum context length")
# llama.cpp reads what the model wrote before it sends it on; for bytes that are no text it answers 500.
_UNREADABLE = "model produced output that does not match"


class NoSuchModel(Exception):
    """HTTP 404: the server has no model, or no adapter, of that name."""


class Chat:
    """One task's questions. `response_format` is how its server is told the output schema."""

    def __init__(self, settings: TaskSettings, response_format: dict[str, Any]) -> None:
        self._settings = settings
        self._response_format = response_format

    async def ask(self, server: Server, model: str, prompt: Prompt, until: float) -> Completion:
        """What the model wrote, asked in turn and `until` then, by the event loop's clock.

        Raises ServerDown, ServerBusy, BadAnswer (the question, or what was written, cannot be served), NoSuchModel.
        """
        try:
            said, seconds = await server.ask_timed(self._settings.local, PATH, self.body(model, prompt), until=until)
        except (Refused, ServerFailed) as error:
            raise self._in_words(error, model) from None
        return to_completion(said, server, model, seconds)

    async def try_out(self, server: Server, model: str, prompt: Prompt, seconds: float) -> Completion:
        """The same out of turn, with a time-out of its own, and the answer checked. A first answer can take minutes."""
        try:
            said = await server.call("POST", PATH, self.body(model, prompt), seconds=seconds)
        except (Refused, ServerFailed) as error:
            raise self._in_words(error, model) from None
        completion = to_completion(said, server, model, seconds)
        read(self._settings, completion)
        return completion

    def body(self, model: str, prompt: Prompt) -> dict[str, Any]:
        """The request. One alternative a token, as llama.cpp gives no log-probabilities without any."""
        return {
            "model": model,
            "messages": messages(prompt),
            "max_tokens": self._settings.local.max_output_tokens,
            "temperature": 0,
            "seed": SEED,
            "logprobs": True,
            "top_logprobs": 1,
            "response_format": self._response_format,
        }

    def _in_words(self, error: Refused | ServerFailed, model: str) -> Exception:
        who = f"{self._settings.name}: the local model {model}"
        if _UNREADABLE in error.text:
            return BadAnswer(f"{who} wrote what is not text")
        if isinstance(error, ServerFailed):
            return error
        if error.status >= 500:
            return ServerFailed(error)
        if error.status == 404:
            return NoSuchModel(model)
        if any(words in error.text for words in _TOO_LONG):
            return BadAnswer(f"{who} has no room in its context for this input")
        return BadAnswer(f"{error}, to a question for the local model {model}; its log says why")


def plainest_input(settings: TaskSettings) -> dict[str, Any]:
    """What a version is tried out with."""
    plainest: dict[str, Any] = sample(compile_schema(settings.input_schema, settings.name).root)
    return plainest


async def models(server: Server, seconds: float) -> list[str]:
    """The names of the models that the server offers. Raises ServerDown, ServerBusy."""
    try:
        said = await server.call("GET", MODELS_PATH, seconds=seconds)
        return [str(one["id"]) for one in said["data"]]
    except Refused as error:
        raise ServerDown(f"{error} to GET {MODELS_PATH}: is it such a server?") from None
    except (LookupError, TypeError, AttributeError):
        raise ServerDown(f"{server.name} sent no list of models: is it such a server?") from None


def to_completion(said: Any, server: Server, model: str, seconds: float) -> Completion:
    """The completion; `seconds` as llama.cpp measured them, if it says so. Raises ServerDown if it is none."""
    try:
        choice = said["choices"][0]
        text, finish = choice["message"].get("content"), choice.get("finish_reason")
        usage = said.get("usage") or {}
        log_probabilities = _log_probabilities(choice.get("logprobs"))
        input_tokens, output_tokens = count(usage.get("prompt_tokens")), count(usage.get("completion_tokens"))
    except (LookupError, TypeError, AttributeError):
        raise ServerDown(f"{server.name} sent what is no chat completion: is it such a server?") from None
    return Completion(
        text=text if isinstance(text, str) else "",
        model=model,
        seconds=_own_seconds(said) or seconds,
        cut_off=finish == "length",
        input_tokens=input_tokens or 0,
        output_tokens=output_tokens or 0,
        log_probabilities=log_probabilities,
    )


def _log_probabilities(said: Any) -> list[float] | None:
    """Of each token; None if the server gives none. Raises LookupError or TypeError for what is neither."""
    tokens = said.get("content") if said else None
    return [float(token["logprob"]) for token in tokens] if tokens else None


def _own_seconds(said: dict[str, Any]) -> float | None:
    timings = said.get("timings")
    if not isinstance(timings, dict):
        return None
    parts = [timings.get(name) for name in ("prompt_ms", "predicted_ms")]
    known = [part for part in parts if isinstance(part, int | float) and part >= 0]
    return sum(known) / 1000 if len(known) == len(parts) else None
