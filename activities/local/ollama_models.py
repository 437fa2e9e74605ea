"""The models that an Ollama has, and the ones that are made there for trained versions."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from activities.local.model import ModelUnavailable, ServerDown
from activities.local.served import Served
from activities.local.server import Refused, Server
from apprentice.settings import TaskSettings

LOAD_SECONDS = 600.0
"""For what moves gigabytes: uploading a file, making a model, loading it into memory."""
SHOW_SECONDS = 10.0
CHUNK = 1024 * 1024


class Models:
    """One task's view of them."""

    def __init__(self, settings: TaskSettings, server: Server) -> None:
        self._settings = settings
        self._server = server

    async def make(self, served: Served) -> str:
        """The name of a trained version, made at the server if it is not there. Raises ModelUnavailable, ServerDown."""
        tag = _tag(self._settings.name, served)
        if await self._show(tag) is not None:
            return tag
        made_of = served.made_of
        if made_of.adapter:
            await self.require(made_of.base_model, served.version)
        try:
            recipe = await self._recipe(served, tag)
            await self._server.call("POST", "/api/create", recipe, seconds=LOAD_SECONDS)
        except (Refused, OSError) as error:
            reason = f"Ollama cannot make a model of {served.folder} ({error}); see the server's log"
            raise ModelUnavailable(self._settings.name, served.version, reason) from None
        return tag

    async def require(self, model: str, version: int | None) -> None:
        """See that a model is there: Ollama would download it while requests wait. Raises ModelUnavailable."""
        if await self._show(model) is None:
            where = "" if self._settings.local.base_url is None else f" where {self._server.url} runs"
            reason = f"Ollama does not have {model}: run `ollama pull {model}`{where}"
            raise ModelUnavailable(self._settings.name, version, reason)

    async def _recipe(self, served: Served, tag: str) -> dict[str, Any]:
        """What `/api/create` is told, the files it names being at the server."""
        made_of, told = served.made_of, {"model": tag, "stream": False}
        if made_of.adapter:
            return {**told, "from": made_of.base_model, "adapters": await self._upload(served.folder / made_of.adapter)}
        base = await self._show(made_of.base_model) or {}
        return {**told, **_manner(base), "files": await self._upload(served.folder / (made_of.model or ""))}

    async def _upload(self, path: Path) -> dict[str, str]:
        """Name and digest of each file, all of them at the server."""
        digests = {}
        for file in _files(path):
            digest = f"sha256:{await asyncio.to_thread(_sha256, file)}"
            try:
                await self._server.call("HEAD", f"/api/blobs/{digest}", seconds=SHOW_SECONDS)
            except Refused:
                await self._server.call("POST", f"/api/blobs/{digest}", _content(file), seconds=LOAD_SECONDS)
            digests[file.name] = digest
        return digests

    async def _show(self, model: str) -> dict[str, Any] | None:
        try:
            shown = await self._server.call("POST", "/api/show", {"model": model}, seconds=SHOW_SECONDS)
        except Refused as error:
            if error.status in (400, 404):
                return None
            raise ServerDown(str(error)) from None
        return shown if isinstance(shown, dict) else {}


def _manner(shown: dict[str, Any]) -> dict[str, Any]:
    """How a base model is talked to, for a whole model in its place: the file may not say it, or not so well."""
    parameters: dict[str, list[Any]] = {}
    for line in (shown.get("parameters") or "").splitlines():
        name, _, value = line.strip().partition(" ")
        with suppress(ValueError):
            one = json.loads(value)
            parameters.setdefault(name, []).append(one)
    # `stop` is the one that may be there several times.
    told = {name: values if name == "stop" else values[-1] for name, values in parameters.items()}
    return {name: value for name, value in (("template", shown.get("template")), ("parameters", told)) if value}


def _tag(task: str, served: Served) -> str:
    """Named by what it is made of, without reading it: a version's files are written once and never changed."""
    content = hashlib.sha256(served.made_of.model_dump_json().encode())
    for part in filter(None, (served.made_of.adapter, served.made_of.model)):
        for file in _files(served.folder / part):
            about = file.stat()
            content.update(f"{file.name} {about.st_size} {about.st_mtime_ns}\n".encode())
    return f"apprentice-{task}:v{served.version:04d}-{content.hexdigest()[:12]}"


def _files(path: Path) -> Iterator[Path]:
    """The file, or the files of an adapter's folder that Ollama reads."""
    if path.is_file():
        yield path
        return
    for file in sorted(path.iterdir()):
        if file.suffix == ".safetensors" or file.name == "adapter_config.json":
            yield file


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


async def _content(file: Path) -> AsyncIterator[bytes]:
    with file.open("rb") as stream:
        while chunk := await asyncio.to_thread(stream.read, CHUNK):
            yield chunk
