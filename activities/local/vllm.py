"""vLLM: versions are LoRA adapters that are loaded beside the base model while the server runs.

https://docs.vllm.ai/en/latest/features/lora/ : `vllm serve BASE --enable-lora` with the environment variable
VLLM_ALLOW_RUNTIME_LORA_UPDATING=True. The server reads the adapter's folder itself, so it must see `model_dir` under
the same path. A server that was restarted has forgotten its adapters: they are loaded again.
"""

import asyncio
from contextlib import suppress
from typing import Any

from activities.local.chat import Chat, Model, NoSuchModel, models, plainest_input
from activities.local.completion import Completion, schema_of, to_answer
from activities.local.in_flight import InFlight
from activities.local.model import BadAnswer, ModelUnavailable, ServerBusy, ServerDown
from activities.local.served import Served, prompt_for, read_version
from activities.local.server import Place, Refused, Server, ServerFailed, server_at
from apprentice.messages import Answer
from apprentice.prompts import Prompt
from apprentice.settings import TaskSettings

PLACE = Place("vLLM", "http://localhost:8000", "/health")
LIST_SECONDS = 5.0
LOAD_SECONDS = 300.0
FIRST_ANSWER_SECONDS = 300.0
"""The first answer under a new schema compiles its grammar; on a CPU vLLM compiles kernels too: 21 s were seen."""
NO_RUNTIME_LORA = (
    "the server takes no adapters: start vLLM with --enable-lora and VLLM_ALLOW_RUNTIME_LORA_UPDATING=True "
    "in its environment"
)


class Vllm:
    """One task's versions at a vLLM server."""

    def __init__(self, settings: TaskSettings) -> None:
        self._settings = settings
        schema = {"name": settings.name, "schema": schema_of(settings), "strict": True}
        self._chat = Chat(settings, {"type": "json_schema", "json_schema": schema})
        self._versions: dict[int, Served] = {}
        self._adapters: dict[int, asyncio.Task[None]] = {}
        self._in_flight = InFlight()
        self._watched: Server | None = None

    async def answer(self, input: dict[str, Any], version: int) -> Answer:
        """Answer one input; an adapter that the server does not have is loaded, and the question asked once more."""
        served = await self._served(version)
        prompt = prompt_for(self._settings, served, input)
        with self._in_flight.one(version):
            await self._adapter(served)
            try:
                completion = await self._chat.ask(self._server, self._name(served), prompt)
            except NoSuchModel:
                completion = await self._ask_again(served, prompt)
        return to_answer(self._settings, version, completion)

    async def load(self, version: int) -> None:
        """Load the version's adapter and let it answer once."""
        served = await self._served(version)
        await self._adapter(served)
        prompt = prompt_for(self._settings, served, plainest_input(self._settings))
        name = self._name(served)
        try:
            await self._chat.try_out(self._server, name, prompt, FIRST_ANSWER_SECONDS)
        except NoSuchModel:
            raise self._unavailable(version, await self._who_is_there(name)) from None
        except BadAnswer as error:
            raise self._unavailable(version, f"its first answer failed: {error}") from None
        except ServerBusy as error:
            raise ServerDown(str(error)) from None

    async def unload(self, version: int) -> None:
        """Unload the version's adapter once nothing is in flight."""
        await self._in_flight.drained(version)
        served = self._versions.pop(version, None)
        if self._adapters.pop(version, None) is None or served is None:
            return
        try:
            await self._change("/v1/unload_lora_adapter", {"lora_name": self._name(served)})
        except (ServerDown, ServerBusy, Refused):
            return  # it is gone, or will be with the server's next start

    async def healthy(self) -> bool:
        """Whether the server answers."""
        return await self._server.alive()

    async def check(self) -> str:
        """Which models it has; that the base model is one of them."""
        base = self._settings.local.base_model or ""
        found = [one.name for one in await self._models()]
        if base not in found:
            raise ServerDown(await self._who_is_there(base))
        return f"{self._server.name} serves {base}; confidence comes from its log-probabilities"

    @property
    def _server(self) -> Server:
        server = server_at(PLACE, self._settings.local)
        if self._watched is not server:
            self._watched = server
            server.on_return(self._bring_back)
        return server

    async def _served(self, version: int) -> Served:
        if version not in self._versions:
            self._versions[version] = await asyncio.to_thread(read_version, self._settings, version)
        served = self._versions[version]
        if served.made_of.model is not None:
            raise self._unavailable(version, "vLLM cannot swap whole models while it runs; train an adapter")
        return served

    def _name(self, served: Served) -> str:
        """What the server calls it."""
        if served.made_of.adapter is None:
            return served.made_of.base_model
        return f"apprentice-{self._settings.name}-v{served.version:04d}"

    async def _ask_again(self, served: Served, prompt: Prompt) -> Completion:
        name = self._name(served)
        self._adapters.pop(served.version, None)
        try:
            await self._adapter(served)
            return await self._chat.ask(self._server, name, prompt)
        except NoSuchModel:
            raise self._unavailable(served.version, await self._who_is_there(name)) from None

    async def _adapter(self, served: Served) -> None:
        """Have the version's adapter at the server: loaded once, however many ask."""
        if served.made_of.adapter is None:
            return
        version = served.version
        if version not in self._adapters:
            self._adapters[version] = asyncio.create_task(self._load_adapter(served))
        loading = self._adapters[version]
        try:
            await asyncio.shield(loading)  # one caller's cancellation must not cancel the load for the others
        except Exception:
            if self._adapters.get(version) is loading:
                del self._adapters[version]
            raise

    async def _load_adapter(self, served: Served) -> None:
        """Raises ModelUnavailable, ServerDown, ServerBusy."""
        name, path = self._name(served), str((served.folder / str(served.made_of.adapter)).absolute())
        roots = {one.name: one.root for one in await self._models()}
        if roots.get(name) == path:
            return  # by another worker, or by this one before it was started again
        try:
            if name in roots:
                await self._change("/v1/unload_lora_adapter", {"lora_name": name})
            await self._change("/v1/load_lora_adapter", {"lora_name": name, "lora_path": path})
        except (Refused, ServerFailed) as error:
            if isinstance(error, Refused) and "already been loaded" in error.text:
                return  # by another worker, just now
            raise self._unavailable(served.version, _why_not(error, path)) from None

    async def _bring_back(self) -> None:
        """The server was away, and may have been restarted: load what it had."""
        for version in list(self._adapters):
            self._adapters.pop(version, None)
            if served := self._versions.get(version):
                with suppress(ModelUnavailable):  # that version is gone; the others are served
                    await self._adapter(served)

    async def _change(self, path: str, body: dict[str, Any]) -> None:
        await self._server.call("POST", path, body, seconds=LOAD_SECONDS)

    async def _models(self) -> list[Model]:
        return await models(self._server, LIST_SECONDS)

    async def _who_is_there(self, name: str) -> str:
        names = ", ".join(sorted(one.name for one in await self._models())[:10])
        return f"{self._server.name} has no model {name!r} (it has: {names}); is `local.base_model` what it serves?"

    def _unavailable(self, version: int, reason: str) -> ModelUnavailable:
        return ModelUnavailable(self._settings.name, version, reason)


def _why_not(error: Refused | ServerFailed, path: str) -> str:
    """Why an adapter was not loaded, in words that say what to do."""
    if "LoRA is not enabled" in error.text or (error.status == 404 and "No adapter found" not in error.text):
        return NO_RUNTIME_LORA
    if error.status == 404:
        return f"the server finds no adapter in {path}: does it see this folder under the same path?"
    return f"{error} to its adapter {path}: its log says why (is --max-lora-rank large enough?)"
