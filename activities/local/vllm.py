"""vLLM: versions are LoRA adapters that are loaded beside the base model while the server runs.

https://docs.vllm.ai/en/latest/features/lora/ : `vllm serve BASE --enable-lora` with the environment variable
VLLM_ALLOW_RUNTIME_LORA_UPDATING=True. The server reads the adapter's folder itself, so it must see `model_dir` under
the same path. A server that was restarted has forgotten its adapters: they are loaded again.
"""

import asyncio
import hashlib
from contextlib import suppress
from typing import Any, NamedTuple

from activities.local.chat import Chat, NoSuchModel, models, plainest_input
from activities.local.completion import schema_of, to_answer
from activities.local.model import BadAnswer, ModelUnavailable, ServerBusy, ServerDown
from activities.local.served import Served, prompt_for, read_version
from activities.local.server import Place, Refused, deadline, server_at
from activities.local.warm import Warm
from apprentice.messages import Answer
from apprentice.settings import TaskSettings

PLACE = Place("vLLM", "http://localhost:8000", "/health")
OWN = "apprentice"
"""What the names of our adapters begin with."""
LIST_SECONDS = 5.0
LOAD_SECONDS = 300.0
FIRST_ANSWER_SECONDS = 300.0
"""The first answer under a new schema compiles its grammar, and on a CPU vLLM its kernels: 21 s were seen."""
TAKES_NO_ADAPTERS = (
    "the server takes no adapters: start vLLM with --enable-lora and VLLM_ALLOW_RUNTIME_LORA_UPDATING=True "
    "in its environment"
)


class Loaded(NamedTuple):
    """A version, and what the server calls it."""

    served: Served
    name: str


class Vllm:
    """The local model of one task at a vLLM."""

    def __init__(self, settings: TaskSettings) -> None:
        self._settings = settings
        self._local = settings.local
        schema = {"name": settings.name, "schema": schema_of(settings), "strict": True}
        self._chat = Chat(settings, {"type": "json_schema", "json_schema": schema})
        self._server = server_at(PLACE, settings.local)
        self._warm: Warm[Loaded] = Warm(self._load, self._release)
        self._server.on_return(self._revive)

    async def answer(self, input: dict[str, Any], version: int) -> Answer:
        """Answer one input; an adapter that the server has lost is loaded again, and the question asked once more."""
        self._server.health.require()
        until = deadline(self._local)
        async with self._warm.use(version, until) as loaded:
            prompt = prompt_for(self._settings, loaded.served, input)
            try:
                completion = await self._chat.ask(self._server, loaded.name, prompt, until)
            except NoSuchModel:
                await self._have_adapter(loaded)
                try:
                    completion = await self._chat.ask(self._server, loaded.name, prompt, until)
                except NoSuchModel:
                    raise self._unavailable(version, await self._who_is_there(loaded.name)) from None
        return to_answer(self._settings, version, completion)

    async def load(self, version: int) -> None:
        """Load the version's adapter and see it answer. Raises ModelUnavailable, ServerDown."""
        await self._warm.get(version)

    async def unload(self, version: int) -> None:
        """Unload the version's adapter once nothing is in flight."""
        await self._warm.drop(version)

    async def close(self) -> None:
        """The same for all versions."""
        await self._warm.close()

    async def healthy(self) -> bool:
        """Whether the server answers now."""
        return await self._server.alive()

    async def check(self) -> str:
        """Ask which models there are; the base model has to be one of them."""
        base = self._local.base_model or ""
        if base not in await self._models():
            raise self._unavailable(None, await self._who_is_there(base))
        return f"vLLM at {self._server.url}: {base} is there, with log-probabilities"

    async def _load(self, version: int) -> Loaded:
        served = await asyncio.to_thread(read_version, self._settings, version)
        if served.made_of.model is not None:
            raise self._unavailable(version, "vLLM cannot change the whole model while it runs; train an adapter")
        adapter = served.made_of.adapter
        own = adapter and await asyncio.to_thread(_own_name, self._settings.name, served, adapter)
        loaded = Loaded(served, own or served.made_of.base_model)
        await self._server.reach()
        try:
            await self._have_adapter(loaded)
            await self._see_it_answer(loaded)
        except ServerBusy as error:
            raise ServerDown(str(error)) from None
        return loaded

    async def _have_adapter(self, loaded: Loaded) -> None:
        """Have the version's adapter at the server, if it has one. Raises ModelUnavailable, ServerDown, ServerBusy."""
        served, name = loaded.served, loaded.name
        if served.made_of.adapter is None:
            return
        if name in await self._models():
            return  # another worker, or this one before it was restarted, has loaded it
        path = str((served.folder / served.made_of.adapter).absolute())
        try:
            await self._change("load", name, lora_path=path)
        except Refused as error:
            if "already been loaded" not in error.text:  # by somebody else, just now
                raise self._unavailable(served.version, _why_not(error, path)) from None

    async def _see_it_answer(self, loaded: Loaded) -> None:
        """The smoke test. Raises ModelUnavailable, ServerDown, ServerBusy."""
        version = loaded.served.version
        prompt = prompt_for(self._settings, loaded.served, plainest_input(self._settings))
        try:
            await self._chat.try_out(self._server, loaded.name, prompt, FIRST_ANSWER_SECONDS)
        except NoSuchModel:
            raise self._unavailable(version, await self._who_is_there(loaded.name)) from None
        except BadAnswer as error:
            raise self._unavailable(version, f"it fails its smoke test: {error}") from None

    async def _release(self, version: int, loaded: Loaded) -> None:
        if loaded.served.made_of.adapter is not None:
            with suppress(ServerDown, ServerBusy, Refused):  # then it is gone, or will be with the next start
                await self._change("unload", loaded.name)

    async def _revive(self) -> None:
        """The server was away: load the adapters that it may have forgotten."""
        for loaded in self._warm.loaded().values():
            with suppress(ModelUnavailable):  # that version is gone; the others are served
                await self._have_adapter(loaded)

    async def _change(self, verb: str, name: str, **more: str) -> None:
        path = f"/v1/{verb}_lora_adapter"
        await self._server.call("POST", path, {"lora_name": name} | more, seconds=LOAD_SECONDS)

    async def _models(self) -> list[str]:
        return await models(self._server, LIST_SECONDS)

    async def _who_is_there(self, name: str) -> str:
        own = f"{OWN}-"
        names = ", ".join(sorted(one for one in await self._models() if not one.startswith(own))[:10])
        return f"{self._server.name} has no {name} (it has: {names}); `local.base_model` is what it must serve"

    def _unavailable(self, version: int | None, reason: str) -> ModelUnavailable:
        return ModelUnavailable(self._settings.name, version, reason)


def _own_name(task: str, served: Served, adapter: str) -> str:
    """Two installations that share a server never get the same name for different things."""
    path = (served.folder / adapter).absolute()
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    about = [served.made_of.model_dump_json(), str(path)]
    about += [f"{file.name} {file.stat().st_size} {file.stat().st_mtime_ns}" for file in files]
    content = hashlib.sha256("\n".join(about).encode()).hexdigest()[:12]
    return f"{OWN}-{task}-v{served.version:04d}-{content}"


def _why_not(error: Refused, path: str) -> str:
    """Why an adapter was not loaded, in words that say what to do."""
    if "LoRA is not enabled" in error.text or (error.status == 404 and "No adapter found" not in error.text):
        return TAKES_NO_ADAPTERS
    if error.status == 404:
        return f"the server finds no adapter in {path}: it has to see that folder under the same path"
    return f"{error} to the adapter {path}; its log says why (is --max-lora-rank large enough?)"
