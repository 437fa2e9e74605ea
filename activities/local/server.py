"""A model server on a port: what Ollama, vLLM and llama.cpp have in common.

All tasks of a worker share one `Server` for each address: its connections, the line before it and what is known about
its health. What goes wrong is said in the words of `activities.local.model`:

    no connection; a broken one, twice; silence until the time-out     ServerDown, and counts towards `Health`
    the server fails (500), or refuses the key (401, 403)              ServerDown, does not count
    503; the line is full; waiting took all the time                   ServerBusy
    any other status                                                   Refused: the adapter knows what it means
"""

import asyncio
import json
import weakref
from collections import defaultdict
from collections.abc import AsyncIterable, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import httpx

from activities.local.health import Health
from activities.local.line import Line
from activities.local.model import ModelUnavailable, ServerBusy, ServerDown
from activities.remote.errors import AuthFailed
from activities.remote.http import secret
from apprentice.settings import LocalSettings

CONNECT_SECONDS = 2.0
PROBE_TIMEOUT_SECONDS = 2.0
SHARE_OF_TIMEOUT = 0.9
"""Of `timeout_seconds`: past it the activity itself would be timed out, and nobody would learn why."""

Revive = Callable[[], Awaitable[None]]


class Refused(Exception):
    """The server answered, and not with an answer. `text` is for telling cases apart, never for a message."""

    def __init__(self, name: str, status: int, text: str) -> None:
        super().__init__(f"{name} answered HTTP {status}")
        self.status = status
        self.text = text


class ServerFailed(ServerDown):
    """The server failed at one question (HTTP 5xx). `text` is for telling cases apart, never for a message."""

    def __init__(self, refused: Refused) -> None:
        super().__init__(str(refused))
        self.text = refused.text


@dataclass(frozen=True)
class Place:
    """Where a kind of server listens by default, which GET tells its health, and what people call it."""

    name: str
    base_url: str
    health_path: str


class Server:
    """One address. Get it from `server_at`, so that its tasks share it."""

    def __init__(self, place: Place, url: str, key_variable: str | None) -> None:
        self.url = url
        self.name = f"{place.name} at {url}"
        self.line = Line()
        self.health = Health(self.name, self._probe, self.line.dismiss)
        # Who uses which weights, as (model object, version): for what may be unloaded.
        self.users: defaultdict[str, set[tuple[int, int]]] = defaultdict(set)
        self._health_path = place.health_path
        self._key_variable = key_variable
        self._revive: list[weakref.WeakMethod[Revive]] = []
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=64)
        self._client = httpx.AsyncClient(limits=limits)

    def on_return(self, revive: Revive) -> None:
        """Await this method before a server that was down gets questions again: to load what it has forgotten.

        ServerDown means that it is not back yet. The method's object is not kept alive.
        """
        self._revive.append(weakref.WeakMethod(revive))

    async def ask(self, settings: LocalSettings, path: str, body: dict[str, Any], *, until: float | None = None) -> Any:
        """The parsed JSON that answers one question, in turn and in time. Raises ServerDown, ServerBusy, Refused.

        `until`, by the event loop's clock, is for a question that has waited before (`deadline`).
        """
        return (await self.ask_timed(settings, path, body, until=until))[0]

    async def ask_timed(
        self, settings: LocalSettings, path: str, body: dict[str, Any], *, until: float | None = None
    ) -> tuple[Any, float]:
        """The same, and the seconds that the server took: without those in the line."""
        self.health.require()
        now, seconds = asyncio.get_running_loop().time, settings.timeout_seconds * SHARE_OF_TIMEOUT
        until = until or deadline(settings)
        asked = until
        try:
            async with asyncio.timeout_at(until), self.line.turn(settings.max_concurrent, settings.max_waiting):
                asked = now()
                answer = await self._connected("POST", path, body)
        except TimeoutError:
            if until - asked < seconds / 2:  # the wait before took the time, not the server
                raise ServerBusy(f"{self.name} was busy with other questions for too long") from None
            raise self.health.failed(f"gave no answer within {until - asked:.3g} s") from None
        except Refused as error:
            self.health.succeeded()
            if error.status >= 500:
                raise ServerFailed(error) from None
            raise
        self.health.succeeded()
        return answer, now() - asked

    async def reach(self) -> None:
        """Make sure that it is there, before something that takes long. Raises ServerDown, which counts."""
        self.health.require()
        try:
            await self._answers_probe()
        except ServerDown as error:
            raise self.health.failed(str(error).removeprefix(self.name).strip()) from None

    async def call(self, method: str, path: str, body: Any = None, *, seconds: float) -> Any:
        """The same for what is no question: out of turn, with a time-out of its own, not counted towards health.

        `body` is a JSON value, or an async iterable of bytes. Raises ServerDown, ServerBusy, Refused.
        """
        try:
            async with asyncio.timeout(seconds):
                return await self._exchange(method, path, body)
        except TimeoutError:
            raise ServerDown(f"{self.name} gave no answer within {seconds:g} s") from None
        except httpx.TransportError as error:
            raise ServerDown(f"{self.name} {_what_broke(error)}") from None

    def give_up(self) -> None:
        """Stop probing it, and send away all who wait: nothing will answer at this address any more."""
        self.health.close()
        self.line.dismiss(ServerDown(f"{self.name} was stopped"))

    async def close(self) -> None:
        """Let go of its connections. Nothing may be in flight."""
        self.give_up()
        await self._client.aclose()

    async def alive(self) -> bool:
        """Whether it answers a health probe now. Never raises."""
        try:
            await self._answers_probe()
        except (ServerDown, ServerBusy):
            return False
        return True

    async def _connected(self, method: str, path: str, body: Any) -> Any:
        """An answer, or the failure counted. A connection that broke is tried once more: it may just have been old."""
        for attempt in (1, 2):
            try:
                return await self._exchange(method, path, body)
            except httpx.TransportError as error:
                if attempt == 2 or isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
                    raise self.health.failed(_what_broke(error)) from None
        raise AssertionError

    async def _exchange(self, method: str, path: str, body: Any) -> Any:
        stream = isinstance(body, AsyncIterable)
        timeout = httpx.Timeout(None, connect=CONNECT_SECONDS)  # the callers know the rest
        response = await self._client.request(
            method,
            f"{self.url}{path}",
            content=body if stream else None,
            json=None if stream else body,
            headers=self._headers(),
            timeout=timeout,
        )
        if response.is_success:
            return _json(response, self.name)
        if response.status_code == 503:
            raise ServerBusy(f"{self.name} answered HTTP 503: it has more questions than it takes, or loads a model")
        if response.status_code in (401, 403):
            said = f"{self.name} answered HTTP {response.status_code}"
            raise ServerDown(f"{said}: name the variable that holds its key in `local.api_key_env`")
        raise Refused(self.name, response.status_code, response.text)

    def _headers(self) -> dict[str, str]:
        try:
            key = secret(self._key_variable)
        except AuthFailed as error:
            raise ServerDown(str(error)) from None
        return {} if key is None else {"Authorization": f"Bearer {key}"}

    async def _answers_probe(self) -> None:
        try:
            await self.call("GET", self._health_path, seconds=PROBE_TIMEOUT_SECONDS)
        except Refused as error:
            raise ServerDown(str(error)) from None

    async def _probe(self) -> None:
        await self._answers_probe()
        self._revive = [one for one in self._revive if one() is not None]
        for one in list(self._revive):
            if revive := one():
                try:
                    await revive()
                except ModelUnavailable:
                    continue  # that version is gone; the others are served


_servers: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[tuple[str, str | None], Server]] = (
    weakref.WeakKeyDictionary()
)


def deadline(settings: LocalSettings) -> float:
    """By when a request that begins now has to be answered, by the event loop's clock."""
    return asyncio.get_running_loop().time() + settings.timeout_seconds * SHARE_OF_TIMEOUT


def server_at(place: Place, settings: LocalSettings) -> Server:
    """The server that these settings name; the same object for all who name it, within one event loop."""
    url = (settings.base_url or place.base_url).rstrip("/")
    known = _servers.setdefault(asyncio.get_running_loop(), {})
    key = (url, settings.api_key_env)
    if key not in known:
        known[key] = Server(place, url, settings.api_key_env)
    return known[key]


def _json(response: httpx.Response, name: str) -> Any:
    if not response.content or "json" not in response.headers.get("content-type", ""):
        return None
    try:
        return json.loads(response.content)
    except (ValueError, RecursionError):
        raise ServerDown(f"{name} sent what is not JSON: is it such a server?") from None


def _what_broke(error: httpx.TransportError) -> str:
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        return "cannot be reached: is it running, and is `local.base_url` right?"
    return f"broke the connection ({type(error).__name__})"
