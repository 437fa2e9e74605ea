"""Files of a batch on the wire: one goes up, lines come down. Errors as in `activities.remote.http`."""

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx

from activities.remote.errors import InvalidRequest, TimedOut, Unreachable
from activities.remote.http import CONNECT_SECONDS, LARGEST_BODY, refusal
from apprentice.settings import ProviderSettings

# For each piece that is sent or read, not for the whole.
PIECE_SECONDS = 60.0


class Transfer:
    """With one provider."""

    def __init__(self, provider: ProviderSettings) -> None:
        self._who = f"{provider.provider} model {provider.model!r}"
        self._keyless = provider.keyless
        self._client = httpx.AsyncClient(timeout=httpx.Timeout(PIECE_SECONDS, connect=CONNECT_SECONDS))

    async def upload(self, url: str, fields: Mapping[str, str], content: bytes, headers: Mapping[str, str]) -> Any:
        """Send a file `batch.jsonl` as a form; the parsed JSON of a 2xx. Raises RemoteError."""
        file = {"file": ("batch.jsonl", content, "application/jsonl")}
        try:
            response = await self._client.post(url, data=dict(fields), files=file, headers=dict(headers))
        except httpx.HTTPError as error:
            raise self._broken(error, url) from None
        if not response.is_success:
            raise refusal(self._who, response, response.content, keyless=self._keyless)
        try:
            return response.json()
        except ValueError:
            raise TimedOut(f"{self._who}: the answer to an upload is not JSON") from None

    async def lines(self, url: str, headers: Mapping[str, str]) -> AsyncIterator[Any]:
        """The JSON lines of a file, one at a time. Raises RemoteError, also in their midst."""
        try:
            async with self._client.stream("GET", url, headers=dict(headers)) as response:
                if not response.is_success:
                    raise refusal(self._who, response, await response.aread(), keyless=self._keyless)
                async for line in self._split(response):
                    try:
                        yield json.loads(line)
                    except (ValueError, RecursionError):
                        raise TimedOut(f"{self._who}: a line of the results is not JSON") from None
        except httpx.HTTPError as error:
            raise self._broken(error, url) from None

    async def _split(self, response: httpx.Response) -> AsyncIterator[bytes]:
        """Not `aiter_lines`, which also ends a line at characters that JSON may have within a text."""
        held = bytearray()
        async for chunk in response.aiter_bytes():
            held += chunk
            *whole, rest = held.split(b"\n")
            held = bytearray(rest)
            if len(held) > LARGEST_BODY:
                raise TimedOut(f"{self._who}: a line of the results is longer than {LARGEST_BODY:,} bytes")
            for line in whole:
                if line.strip():
                    yield bytes(line)
        if held.strip():
            yield bytes(held)

    def _broken(self, error: httpx.HTTPError, url: str) -> Unreachable | TimedOut | InvalidRequest:
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout | httpx.ProxyError):
            return Unreachable(f"{self._who}: no connection to {httpx.URL(url).host}")
        if isinstance(error, httpx.UnsupportedProtocol | httpx.LocalProtocolError):
            return InvalidRequest(f"{self._who}: the request cannot be sent; check base_url and the key")
        return TimedOut(f"{self._who}: sent, but the connection gave no whole answer ({type(error).__name__})")
