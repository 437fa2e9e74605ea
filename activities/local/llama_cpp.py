"""llama.cpp: `llama-server` (or llama-cpp-python's server) at `base_url` for the base model and few-shot versions.

https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md

It cannot load an adapter or a model while it runs, so a version with weights of its own is a second server: the worker
runs `local.server_command` for it, on this machine, on a free port, and moves no question there before it has answered
one. Each such process holds a model in memory, and each worker has its own.
"""

import asyncio
import math
import shutil
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

from activities.local.chat import Chat, NoSuchModel, models, plainest_input
from activities.local.command import ADAPTER, fill_in
from activities.local.completion import schema_of, to_answer
from activities.local.grammar import for_grammar
from activities.local.model import BadAnswer, ModelUnavailable, ServerBusy, ServerDown
from activities.local.process import ModelProcess, NotStarted
from activities.local.served import Served, prompt_for, read_version
from activities.local.server import Place, Server, deadline, server_at
from activities.local.warm import Warm
from apprentice.messages import Answer
from apprentice.prompts import Prompt
from apprentice.settings import TaskSettings

PLACE = Place("llama.cpp", "http://localhost:8080", "/health")
LIST_SECONDS = 5.0
FIRST_ANSWER_SECONDS = 120.0
TRY_AGAIN_SECONDS = 10.0
"""After a start that failed: not every question is to start a process that ends at once."""

type Command = tuple[str, ...]


class Loaded(NamedTuple):
    """A version, what its server calls it, and the process that it is served by, if it has weights of its own."""

    served: Served
    name: str
    process: ModelProcess | None


class LlamaCpp:
    """The local model of one task, at a llama.cpp server and in processes of our own."""

    def __init__(self, settings: TaskSettings) -> None:
        self._settings = settings
        self._local = settings.local
        # Both kinds of server know this form; llama-cpp-python does not know `json_schema`.
        self._chat = Chat(settings, {"type": "json_object", "schema": for_grammar(schema_of(settings))})
        self._server = server_at(PLACE, settings.local)
        self._failed: dict[Command, tuple[float, str]] = {}
        self._warm: Warm[Loaded] = Warm(self._load, self._release)

    async def answer(self, input: dict[str, Any], version: int) -> Answer:
        """Answer one input; a process that is not running is started."""
        until = deadline(self._local)
        async with self._warm.use(version, until) as loaded, self._at(loaded) as server:
            prompt = prompt_for(self._settings, loaded.served, input)
            try:
                completion = await self._chat.ask(server, loaded.name, prompt, until)
            except NoSuchModel:
                raise self._not_there(server, loaded.name) from None
        return to_answer(self._settings, version, completion)

    async def load(self, version: int) -> None:
        """Start the version's process, if it needs one, and see it answer. Raises ModelUnavailable, ServerDown."""
        await self._warm.get(version)

    async def unload(self, version: int) -> None:
        """End the version's process once nothing is in flight."""
        await self._warm.drop(version)

    async def close(self) -> None:
        """The same for all versions."""
        await self._warm.close()

    async def healthy(self) -> bool:
        """Whether the version that was asked last can answer; before there is one, the server."""
        for loaded in reversed(self._warm.loaded().values()):
            return await (self._server.alive() if loaded.process is None else loaded.process.alive())
        return await self._server.alive()

    async def check(self) -> str:
        """Ask the server for one answer, and look for the command's program. Raises ModelUnavailable, ServerDown."""
        command = self._local.server_command
        if command and shutil.which(command[0]) is None:
            raise ServerDown(f"local.server_command: there is no program {command[0]!r} on the worker's PATH")
        found = ", ".join(await models(self._server, LIST_SECONDS))
        try:
            completion = await self._chat.try_out(self._server, self._base_name, _SHORT, FIRST_ANSWER_SECONDS)
        except NoSuchModel:
            raise self._not_there(self._server, self._base_name) from None
        except (BadAnswer, ServerBusy) as error:
            raise ServerDown(str(error)) from None
        without = completion.log_probabilities is None
        confidence = (
            "without log-probabilities (no confidence; llama-server has it)" if without else "with log-probabilities"
        )
        return f"llama.cpp at {self._server.url}: {found} is there, {confidence}"

    @property
    def _base_name(self) -> str:
        """Of the base model: a file's name without its folder, which is nobody's business in a trace."""
        name = self._local.base_model or ""
        return Path(name).name if name.endswith(".gguf") else name

    @asynccontextmanager
    async def _at(self, loaded: Loaded) -> AsyncIterator[Server]:
        """The server that has the version. Raises LocalError."""
        if loaded.process is None:
            yield self._server
            return
        if loaded.process.stopped:  # by whoever has this task under other settings
            self._warm.forget(loaded.served.version)
            raise ServerDown(f"the process of version {loaded.served.version} was stopped; it is started again")
        with loaded.process.question() as server:
            yield server

    async def _load(self, version: int) -> Loaded:
        served = await asyncio.to_thread(read_version, self._settings, version)
        if not served.made_of.trained:
            await self._server.reach()
            loaded = Loaded(served, self._base_name, None)
        else:
            loaded = await self._run(served)
        try:
            await self._see_it_answer(loaded)
        except BaseException:
            await asyncio.shield(self._release(version, loaded))
            raise
        return loaded

    async def _run(self, served: Served) -> Loaded:
        command, known = self._command(served), _processes()
        failed_at, why = self._failed.get(command, (-math.inf, ""))
        if asyncio.get_running_loop().time() - failed_at < TRY_AGAIN_SECONDS:
            raise self._unavailable(served.version, why)
        name = f"apprentice-{self._settings.name}-v{served.version:04d}"
        if command not in known:
            known[command] = ModelProcess(f"the process of {name}", PLACE, command, self._local.api_key_env)
        process = known[command]
        try:
            await process.started()
        except NotStarted as error:
            known.pop(command, None)
            self._failed[command] = (asyncio.get_running_loop().time(), str(error))
            raise self._unavailable(served.version, str(error)) from None
        return Loaded(served, name, process)

    async def _see_it_answer(self, loaded: Loaded) -> None:
        """The smoke test. Raises ModelUnavailable, ServerDown."""
        prompt = prompt_for(self._settings, loaded.served, plainest_input(self._settings))
        try:
            async with self._at(loaded) as server:
                await self._chat.try_out(server, loaded.name, prompt, FIRST_ANSWER_SECONDS)
        except NoSuchModel:
            raise self._not_there(server, loaded.name) from None
        except BadAnswer as error:
            raise self._unavailable(loaded.served.version, f"it fails its smoke test: {error}") from None
        except ServerBusy as error:
            raise ServerDown(str(error)) from None

    async def _release(self, version: int, loaded: Loaded) -> None:
        if loaded.process is not None:
            known = _processes()
            for command in [command for command, process in known.items() if process is loaded.process]:
                del known[command]
            await loaded.process.stop()

    def _command(self, served: Served) -> Command:
        """What serves the version: its own model or the base's, with its adapter if it has one."""
        local, made_of, version = self._local, served.made_of, served.version
        if local.server_command is None:
            raise self._unavailable(version, "it has weights of its own, and `local.server_command` is not set")
        adapter = None if made_of.adapter is None else (served.folder / made_of.adapter).absolute()
        if adapter is not None and adapter.suffix != ".gguf":
            raise self._unavailable(version, f"{adapter} is no .gguf; llama.cpp's convert_lora_to_gguf.py makes one")
        if adapter is not None and not any(ADAPTER in word for word in local.server_command):
            raise self._unavailable(version, f"it has an adapter, and `local.server_command` no {ADAPTER}")
        model = Path(made_of.base_model) if made_of.model is None else (served.folder / made_of.model).absolute()
        if not model.is_file():
            reason = f"there is no file {model}; for adapters `local.base_model` has to be the base model's .gguf"
            raise self._unavailable(version, reason)
        return fill_in(local.server_command, model, adapter)

    def _not_there(self, server: Server, name: str) -> ServerDown:
        return ServerDown(f"{server.name} answers questions for {name} with HTTP 404: is `local.base_url` right?")

    def _unavailable(self, version: int, reason: str) -> ModelUnavailable:
        return ModelUnavailable(self._settings.name, version, reason)


_SHORT = Prompt("Answer as briefly as possible.", (), "1")

_all: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Command, ModelProcess]] = weakref.WeakKeyDictionary()


def _processes() -> dict[Command, ModelProcess]:
    """The processes that this worker runs: tasks and settings that share a version share its process."""
    return _all.setdefault(asyncio.get_running_loop(), {})
