"""Local models served by Ollama, through its own API (https://github.com/ollama/ollama/blob/main/docs/api.md).

A version that only shows examples is the base model itself; one with an adapter or a whole model of its own becomes a
model at the server, made when it is first loaded, named `apprentice-<task>:v<NNNN>-<content>`. Two tasks, or two
installations that share a server, never get the same name for different things.

Confidence: Ollama gives log-probabilities since 0.12.11. From an older one answers have none, so that deferral can
only take or leave all of them; `check` says so.

Two things that Ollama does behind a caller's back are not let happen here. A prompt that does not fit the context is
shortened by dropping examples: `context_tokens` is sent, and a prompt too long for it is not asked at all. And a base
model that is missing would be downloaded while a request waits: it is looked for first.

Ollama keeps one adapter for each base model in memory. Versions that are examples, or whole models, are warm beside
each other; those with adapters over the same base take turns, each turn a load. No request is lost by that, but while
a candidate with an adapter is validated the other one is slower.
"""

import asyncio
from contextlib import suppress
from typing import Any, NamedTuple

from activities.local.completion import Completion, read, schema_of, to_answer
from activities.local.grammar import for_grammar
from activities.local.model import BadAnswer, ModelUnavailable, ServerBusy, ServerDown
from activities.local.ollama_models import LOAD_SECONDS, SHOW_SECONDS, Models
from activities.local.served import Served, prompt_for, read_version
from activities.local.server import Place, Refused, deadline, server_at
from activities.local.warm import Warm
from apprentice.messages import Answer
from apprentice.prompts import Prompt, messages
from apprentice.schema import compile_schema
from apprentice.schema_sample import sample
from apprentice.settings import TaskSettings

PLACE = Place("Ollama", "http://localhost:11434", "/api/version")
CHECK_SECONDS = 10.0
SEED = 0
BYTES_PER_TOKEN = 3.0
"""Of a prompt, before the model has counted one: fewer than any language model needs for text."""
MARGIN = 1.15
"""Prompts differ in how many bytes a token of theirs has."""


class Loaded(NamedTuple):
    """A version as it is asked: its name at the server, and how many bytes of a prompt make a token there."""

    served: Served
    tag: str
    bytes_per_token: float = BYTES_PER_TOKEN

    @property
    def weights(self) -> str:
        """What has to be in memory for it: versions that share it cannot be unloaded one without the other."""
        return self.tag if self.served.made_of.model else self.served.made_of.base_model


class Ollama:
    """The local model of one task at an Ollama."""

    def __init__(self, settings: TaskSettings) -> None:
        self._settings = settings
        self._local = settings.local
        self._schema = for_grammar(schema_of(settings))
        self._server = server_at(PLACE, settings.local)
        self._models = Models(settings, self._server)
        self._warm: Warm[Loaded] = Warm(self._load, self._release)
        self._server.on_return(self._revive)

    async def answer(self, input: dict[str, Any], version: int) -> Answer:
        """Answer one input. Raises LocalError."""
        self._server.health.require()
        until = deadline(self._local)
        async with self._warm.use(version, until) as loaded:
            prompt = prompt_for(self._settings, loaded.served, input)
            self._require_room(prompt, loaded)
            try:
                question = self._question(prompt, loaded.tag)
                told, seconds = await self._server.ask_timed(self._local, "/api/chat", question, until=until)
            except Refused as error:
                raise self._refused(error, version, loaded.tag) from None
        return to_answer(self._settings, version, _completion(told, loaded.tag, seconds))

    async def load(self, version: int) -> None:
        """Make the model if it is not there, load it, and see it answer. Raises ModelUnavailable, ServerDown."""
        await self._warm.get(version)

    async def unload(self, version: int) -> None:
        """Free its memory at the server, unless another version that is loaded here lives in the same."""
        await self._warm.drop(version)

    async def close(self) -> None:
        """The same for all versions."""
        await self._warm.close()

    async def healthy(self) -> bool:
        """Whether the server answers now."""
        return await self._server.alive()

    async def check(self) -> str:
        """Ask the base model for one token. Raises ModelUnavailable, ServerDown."""
        base = self._local.base_model or ""
        try:
            found = await self._call("GET", "/api/version", None, SHOW_SECONDS)
            await self._models.require(base, None)
            return f"Ollama {found['version']} at {self._server.url}: {base} is there, {await self._tries(base)}"
        except Refused as error:
            raise ServerDown(f"{error}: is `local.base_url` right?") from None
        except (KeyError, TypeError):
            raise _stranger() from None

    async def _tries(self, base: str) -> str:
        body = {**self._question(Prompt("", (), "1"), base), "format": "json"}
        body["options"] |= {"num_predict": 1}
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                told = await self._call("POST", "/api/chat", body, LOAD_SECONDS)
        except TimeoutError:
            return f"it was not loaded within {CHECK_SECONDS:g} s"
        return "with log-probabilities" if _log_probabilities(told) else "without log-probabilities (no confidence)"

    # --- asking --------------------------------------------------------------------------------------------------

    def _question(self, prompt: Prompt, tag: str) -> dict[str, Any]:
        return {
            "model": tag,
            "messages": messages(prompt),
            "format": self._schema,
            "stream": False,
            "think": False,
            "logprobs": True,
            # An error instead of a prompt that is cut: known since 0.12, ignored before.
            "truncate": False,
            "shift": False,
            "keep_alive": self._keep_alive,
            "options": {
                "num_predict": self._local.max_output_tokens,
                "num_ctx": self._local.context_tokens,
                "temperature": 0,
                "seed": SEED,
            },
        }

    @property
    def _keep_alive(self) -> str:
        return f"{self._local.keep_alive.total_seconds():.0f}s"

    def _require_room(self, prompt: Prompt, loaded: Loaded) -> None:
        needed = _size(prompt) / loaded.bytes_per_token * MARGIN + self._local.max_output_tokens
        if needed > self._local.context_tokens:
            words = f"the prompt needs room for some {needed:.0f} tokens with its answer"
            raise BadAnswer(f"{self._settings.name}: {words}; local.context_tokens is {self._local.context_tokens}")

    def _refused(self, error: Refused, version: int, tag: str) -> Exception:
        if error.status == 404:
            self._warm.forget(version)
            return self._unavailable(version, f"Ollama has no model {tag} any more; it is made again when it is asked")
        return BadAnswer(f"{self._settings.name}: {error} to a question")

    # --- loading -------------------------------------------------------------------------------------------------

    async def _load(self, version: int) -> Loaded:
        served = await asyncio.to_thread(read_version, self._settings, version)
        await self._server.reach()
        tag = await self._models.make(served) if served.made_of.trained else served.made_of.base_model
        if not served.made_of.trained:
            await self._models.require(tag, version)
        loaded = await self._see_it_answer(Loaded(served, tag))
        self._server.users[loaded.weights].add((id(self), version))
        return loaded

    async def _see_it_answer(self, loaded: Loaded) -> Loaded:
        """The smoke test: nothing is put in the way of requests that cannot answer one."""
        version, examples = loaded.served.version, loaded.served.made_of.examples
        plainest = sample(compile_schema(self._settings.input_schema, "input_schema").root)
        prompt = prompt_for(self._settings, loaded.served, examples[0].input if examples else plainest)
        try:
            self._require_room(prompt, loaded)
            told = await self._call("POST", "/api/chat", self._question(prompt, loaded.tag), LOAD_SECONDS)
            completion = _completion(told, loaded.tag, 0.0)
            read(self._settings, completion)
            if completion.input_tokens:
                loaded = loaded._replace(bytes_per_token=_size(prompt) / completion.input_tokens)
                self._require_room(prompt, loaded)
        except BadAnswer as error:
            raise self._unavailable(version, f"it fails its smoke test: {error}") from None
        except Refused as error:
            raise self._unavailable(version, f"it cannot be loaded ({error}); see the server's log") from None
        return loaded

    async def _revive(self) -> None:
        """Load again what a server that was away has forgotten, before it is asked."""
        for version, loaded in self._warm.loaded().items():
            options = {"num_ctx": self._local.context_tokens}
            body = {"model": loaded.tag, "messages": [], "keep_alive": self._keep_alive, "options": options}
            try:
                await self._call("POST", "/api/chat", body, LOAD_SECONDS)
            except Refused:
                self._warm.forget(version)

    async def _release(self, version: int, loaded: Loaded) -> None:
        users = self._server.users[loaded.weights]
        users.discard((id(self), version))
        if users:
            return
        # A request that comes in between finds the model loading again, not missing.
        with suppress(ServerDown, ServerBusy, Refused):
            await self._call("POST", "/api/chat", {"model": loaded.tag, "messages": [], "keep_alive": 0}, SHOW_SECONDS)

    async def _call(self, method: str, path: str, body: Any, seconds: float) -> Any:
        return await self._server.call(method, path, body, seconds=seconds)

    def _unavailable(self, version: int | None, reason: str) -> ModelUnavailable:
        return ModelUnavailable(self._settings.name, version, reason)


def _completion(told: Any, tag: str, seconds: float) -> Completion:
    """What Ollama said; `seconds` where it does not say how long the model took. Raises ServerDown."""
    try:
        own = (told.get("prompt_eval_duration", 0) + told.get("eval_duration", 0)) / 1e9
        return Completion(
            text=told["message"]["content"],
            model=tag,
            seconds=own or seconds,
            cut_off=told.get("done_reason") != "stop",  # "length"; nothing, where a word was repeated without end
            input_tokens=told.get("prompt_eval_count", 0),
            output_tokens=told.get("eval_count", 0),
            log_probabilities=_log_probabilities(told),
        )
    except (AttributeError, KeyError, TypeError):
        raise _stranger() from None


def _stranger() -> ServerDown:
    return ServerDown("the server does not speak as Ollama does: is `local.base_url` right?")


def _log_probabilities(told: Any) -> list[float] | None:
    return [one["logprob"] for one in told.get("logprobs") or []] or None


def _size(prompt: Prompt) -> int:
    return sum(len(one["content"].encode()) for one in messages(prompt))
