"""A call to a provider over HTTP: sent once, and whatever goes wrong said in the words of `activities.remote.errors`.

What decides between "try again" and "may have been paid" is how far the call got:

    no connection                                          Unreachable: nothing was sent
    sent, then silence, a broken connection, half a body   TimedOut: what it cost is not known
    408, 502, 504, 524                                     TimedOut: a gateway gave up on a server that may have worked
    other 5xx, 409 (this key is being answered)            Overloaded: providers bill no such call
    429                                                    RateLimited, or QuotaExhausted if its code says so
    200 that cannot be read                                InvalidAnswer: paid, and counted at the upper bound

No message repeats what a provider wrote, except its error code: it may quote the input or the key.
"""

import json
import math
import os
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from activities.remote import error_body
from activities.remote.errors import (
    AuthFailed,
    ContentFiltered,
    InvalidAnswer,
    InvalidRequest,
    Overloaded,
    QuotaExhausted,
    RateLimited,
    RemoteError,
    TimedOut,
    Unreachable,
)
from apprentice.settings import ProviderSettings

CONNECT_SECONDS = 5.0
# No answer of ours is near it; without a limit a server that never stops sending would fill the memory.
LARGEST_BODY = 8 * 1024 * 1024

_KEY = re.compile(r"[!-~]+")
_GATEWAY_GAVE_UP = {408, 502, 504, 524}


class Endpoint:
    """One provider's address. Made once for a task's settings, shared by all its calls; connections are kept open."""

    def __init__(self, provider: ProviderSettings) -> None:
        self._who = f"{provider.provider} model {provider.model!r}"
        self._keyless = provider.keyless
        seconds = provider.timeout_seconds
        # Connecting ends before the attempt does: a call that never left must not count as one that may have.
        timeout = httpx.Timeout(seconds, connect=min(CONNECT_SECONDS, seconds / 2))
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=64)
        self._client = httpx.AsyncClient(timeout=timeout, limits=limits)

    async def post(self, url: str, body: Mapping[str, Any], headers: Mapping[str, str], bound: Decimal) -> Any:
        """The parsed JSON of a 2xx. `bound` is what a paid answer without a readable price is counted at.

        Raises RemoteError.
        """
        return await self._exchange("POST", url, body, headers, bound)

    async def get(self, url: str, headers: Mapping[str, str]) -> Any:
        """The parsed JSON of a 2xx. Raises RemoteError."""
        return await self._exchange("GET", url, None, headers, Decimal(0))

    async def _exchange(
        self, method: str, url: str, body: Mapping[str, Any] | None, headers: Mapping[str, str], bound: Decimal
    ) -> Any:
        try:
            async with self._client.stream(method, url, json=body, headers=dict(headers)) as response:
                content = await self._read(response, bound)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError):
            raise Unreachable(f"{self._who}: no connection to {httpx.URL(url).host}") from None
        except (httpx.UnsupportedProtocol, httpx.LocalProtocolError, httpx.InvalidURL):
            raise InvalidRequest(f"{self._who}: the request cannot be sent; check base_url and the key") from None
        except httpx.DecodingError:
            raise InvalidAnswer(f"{self._who}: the answer's encoding cannot be read", bound) from None
        except httpx.TransportError as error:
            kind = type(error).__name__
            raise TimedOut(f"{self._who}: sent, but the connection gave no whole answer ({kind})") from None
        if not response.is_success:
            raise refusal(self._who, response, content, keyless=self._keyless)
        try:
            return json.loads(content)
        except (ValueError, RecursionError):
            raise InvalidAnswer(f"{self._who}: the answer is not JSON", bound) from None

    async def _read(self, response: httpx.Response, bound: Decimal) -> bytes:
        content = bytearray()
        async for chunk in response.aiter_bytes():
            content += chunk
            if len(content) > LARGEST_BODY:
                raise InvalidAnswer(f"{self._who}: the answer is longer than {LARGEST_BODY:,} bytes", bound)
        return bytes(content)


def bearer(provider: ProviderSettings) -> dict[str, str]:
    """The header with the key that the environment holds; none where no variable is named. Raises AuthFailed."""
    key = secret(provider.key_variable)
    return {} if key is None else {"Authorization": f"Bearer {key}"}


def secret(variable: str | None) -> str | None:
    """The key in an environment variable; None where no variable is named. Raises AuthFailed."""
    if variable is None:
        return None
    key = os.environ.get(variable, "").strip()
    if not key:
        raise AuthFailed(f"the environment variable {variable} is not set where the worker runs")
    if not _KEY.fullmatch(key):  # the error of the HTTP library would show it
        raise AuthFailed(f"what the environment variable {variable} holds cannot be a key")
    return key


def refusal(who: str, response: httpx.Response, content: bytes, *, keyless: bool = False) -> RemoteError:
    """What a response that is no answer means; `content` is its body. `keyless`: no key was sent."""
    status, body = response.status_code, error_body.read(content)
    said = f"{who}: HTTP {status}" + (f", {body.code}" if body.code else "")
    if body.out_of_credit or status == 402:
        return QuotaExhausted(said)
    if status == 429:
        return RateLimited(said, retry_after(response.headers, body.retry_after))
    if status in _GATEWAY_GAVE_UP:
        return TimedOut(f"{said}: what became of the call is not known")
    if status in (401, 403) or body.bad_key:
        if keyless:
            return AuthFailed(f"{said}: it asks for a key; name the variable that holds it in `api_key_env`")
        return AuthFailed(f"{said}: the key is missing, wrong, or may not use this model")
    if status >= 500 or status == 409:
        return Overloaded(said, retry_after(response.headers, body.retry_after))
    if body.refused_content:
        return ContentFiltered(said, Decimal(0))
    if status == 404:
        return InvalidRequest(f"{said}: it knows no such model, or is at another address; check `model` and `base_url`")
    if body.setting is not None:
        return InvalidRequest(f"{said}: it refuses `{body.setting}`; change it or leave it out")
    return InvalidRequest(said)


def retry_after(headers: httpx.Headers, otherwise: float | None = None) -> float | None:
    """The seconds in `retry-after-ms` or `Retry-After` (a number, or a date); `otherwise` for neither, or nonsense."""
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            seconds = float(headers[name]) / unit
        except (KeyError, ValueError):
            continue
        if math.isfinite(seconds):
            return max(0.0, seconds)
    try:
        until = parsedate_to_datetime(headers["retry-after"])
    except (KeyError, ValueError):
        return otherwise
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return max(0.0, (until - datetime.now(UTC)).total_seconds())
