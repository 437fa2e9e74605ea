"""llama.cpp: `llama-server` (or llama-cpp-python's server) at `base_url` for the base model and few-shot versions.

https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md

It cannot load an adapter or a model while it runs, so a version with weights of its own is a second server: the worker
runs `local.server_command` for it, on this machine, on a free port, and moves no question there before it is healthy.
"""

import asyncio
import shutil
import weakref
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

from activities.local.chat import Chat, NoSuchModel, models, plainest_input
from activities.local.command import fill_in
from activities.local.completion import schema_of, to_answer
from activities.local.model import BadAnswer, ModelUnavailable, ServerBusy, ServerDown
from activities.local.process import ModelProcess, NotStarted
from activities.local.served import Served, prompt_for, read_version
from activities.local.server import Place, Server, server_at
from apprentice import prompts
from apprentice.messages import Answer
from apprentice.settings import TaskSettings

PLACE = Place("llama.cpp", "http://localhost:8080", "/health")
KEPT = 3
"""Processes of one task: the version that serves, the candidate, and the one to roll back to. Each holds a model."""
LIST_SECONDS = 5.0
FIRST_ANSWER_SECONDS = 120.0
SHARE_FOR_STARTING = 0.5
"""Of `timeout_seconds`: so long a question waits for a process that starts. The remote model is faster then."""

type Key = tuple[tuple[str, ...], str | None]


class Ready(NamedTuple):
    """A server that has the version, what the version is called there, and the seconds that it was waited for."""

    server: Server
    model: str
    waited: float


class LlamaCpp:
    """One task's versions, at the server and in processes of our own."""

    def __init__(self, settings: TaskSettings) -> None:
        self._settings = settings
        # Both servers know this form; llama-cpp-python does not know `json_schema`.
        self._chat = Chat(settings, {"type": "json_object", "schema": schema_of(settings)})
        self._versions: OrderedDict[int, Served] = OrderedDict()
        self._leaving: set[asyncio.Task[None]] = set()

    async def answer(self, input: dict[str, Any], version: int) -> Answer:
        """Answer one input; where a process has to be started first, wait for it as long as is sensible."""
        served = await self._served(version)
        prompt = prompt_for(self._settings, served, input)
        longest = self._settings.local.timeout_seconds * SHARE_FOR_STARTING
        async with self._ready(served, longest) as (server, model, waited):
            try:
                completion = await self._chat.ask(server, model, prompt, waited)
            except NoSuchModel:
                raise ServerDown(f"{server.name} has no model {model!r}: is it such a server?") from None
        return to_answer(self._settings, version, completion)

    async def load(self, version: int) -> None:
        """Have the version's process, if it needs one, and let it answer once."""
        served = await self._served(version)
        prompt = prompt_for(self._settings, served, plainest_input(self._settings))
        if self._runs_itself(served) and self._process(served).failed:
            await self._stop(served)  # to be tried again at once: somebody asks for it
        try:
            async with self._ready(served, None) as (server, model, _):
                await self._chat.try_out(server, model, prompt, FIRST_ANSWER_SECONDS)
        except NoSuchModel:
            raise self._unavailable(version, "the server has no such model: is `local.base_url` right?") from None
        except BadAnswer as error:
            raise self._unavailable(version, f"its first answer failed: {error}") from None
        except ServerBusy as error:
            raise ServerDown(str(error)) from None

    async def unload(self, version: int) -> None:
        """End the version's process once nothing is in flight."""
        served = self._versions.pop(version, None)
        if served is not None and self._runs_itself(served):
            await self._stop(served)

    async def healthy(self) -> bool:
        """Whether the version that was asked last can answer; before there is one, the server."""
        last = next(reversed(self._versions.values()), None)
        if last is not None and self._runs_itself(last):
            return await self._process(last).alive()
        return await self._server.alive()

    async def check(self) -> str:
        """Which model the server has, and whether it gives log-probabilities; that the command is there."""
        command = self._settings.local.server_command
        if command and shutil.which(command[0]) is None:
            raise ServerDown(f"local.server_command: there is no program {command[0]!r} on the worker's PATH")
        found = ", ".join(one.name for one in await models(self._server, LIST_SECONDS))
        prompt = prompts.build(self._settings, plainest_input(self._settings))
        try:
            completion = await self._chat.try_out(self._server, self._base_name, prompt, FIRST_ANSWER_SECONDS)
        except NoSuchModel:
            raise ServerDown(f"{self._server.name} has no model {self._base_name!r} (it has: {found})") from None
        except (BadAnswer, ServerBusy) as error:
            raise ServerDown(str(error)) from None
        confidence = "comes from its log-probabilities"
        if completion.log_probabilities is None:
            confidence = "is unknown: it gives no log-probabilities (llama-server does)"
        return f"{self._server.name} serves {found}; confidence {confidence}"

    @property
    def _server(self) -> Server:
        return server_at(PLACE, self._settings.local)

    @property
    def _base_name(self) -> str:
        """Of the base model: a file's name without its folder, which is nobody's business in a trace."""
        name = self._settings.local.base_model or ""
        return Path(name).name if name.endswith(".gguf") else name

    async def _served(self, version: int) -> Served:
        """The version, now the most recent one; beyond `KEPT` processes, the one asked longest ago is let go."""
        if version not in self._versions:
            self._versions[version] = await asyncio.to_thread(read_version, self._settings, version)
        self._versions.move_to_end(version)
        running = [number for number, one in self._versions.items() if self._runs_itself(one)]
        for number in running[:-KEPT]:
            task = asyncio.create_task(self.unload(number))
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)
        return self._versions[version]

    @asynccontextmanager
    async def _ready(self, served: Served, longest: float | None) -> AsyncIterator[Ready]:
        """A server that has the version, for one question. Raises ModelUnavailable, ServerDown."""
        if not self._runs_itself(served):
            yield Ready(self._server, self._base_name, 0.0)
            return
        process = self._process(served)
        began = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(longest):
                await process.started()
        except TimeoutError:
            raise ServerDown(f"the process of version {served.version} is still being started") from None
        except NotStarted as error:
            raise self._unavailable(served.version, str(error)) from None
        waited = asyncio.get_running_loop().time() - began
        with process.question() as server:
            yield Ready(server, f"apprentice-{self._settings.name}-v{served.version:04d}", waited)

    def _runs_itself(self, served: Served) -> bool:
        return served.made_of.trained

    def _process(self, served: Served) -> ModelProcess:
        """The version's process, started if there is none."""
        key, known = self._key(served), _processes()
        if key not in known or known[key].given_up:
            name = f"the llama.cpp process of {self._settings.name} version {served.version}"
            known[key] = ModelProcess(name, PLACE, *key)
        return known[key]

    async def _stop(self, served: Served) -> None:
        process = _processes().pop(self._key(served), None)
        if process is not None:
            await process.stop()

    def _key(self, served: Served) -> Key:
        """What tells processes apart: tasks and settings that share a version share its process."""
        local, made_of = self._settings.local, served.made_of
        if local.server_command is None:
            raise self._unavailable(served.version, "it has weights of its own: llama.cpp needs `local.server_command`")
        adapter = None if made_of.adapter is None else (served.folder / made_of.adapter).absolute()
        if adapter is not None and adapter.suffix != ".gguf":
            raise self._unavailable(
                served.version, f"{adapter} is no .gguf; llama.cpp's convert_lora_to_gguf.py makes one"
            )
        if adapter is not None and not any("{adapter}" in word for word in local.server_command):
            raise self._unavailable(served.version, "it has an adapter, and `local.server_command` no {adapter}")
        model = Path(made_of.base_model) if made_of.model is None else (served.folder / made_of.model).absolute()
        if not model.is_file():
            raise self._unavailable(
                served.version, f"there is no file {model}; `local.base_model` must be the base model's .gguf"
            )
        return fill_in(local.server_command, model, adapter), local.api_key_env

    def _unavailable(self, version: int, reason: str) -> ModelUnavailable:
        return ModelUnavailable(self._settings.name, version, reason)


_all: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Key, ModelProcess]] = weakref.WeakKeyDictionary()


def _processes() -> dict[Key, ModelProcess]:
    """The processes that this worker runs."""
    return _all.setdefault(asyncio.get_running_loop(), {})
