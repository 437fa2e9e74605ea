"""The codec server: lets Temporal's Web UI and command line read payloads, for those who have the token.

The protocol is Temporal's (samples-go, codec-server/protocol.md): POST of Payloads as protobuf JSON to a path that ends
in /decode, /encode or /download. Who asks shows the token as `Authorization: Bearer TOKEN` (`temporal --codec-auth`),
or as the cookie that the page at / hands out for it: a browser sends it where the Web UI's codec settings say "include
cross-origin credentials".
"""

import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import parse_qs

from google.protobuf import json_format
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.common import RawValue
from temporalio.converter import DataConverter

from client.payloads.unreadable import UNREADABLE

COOKIE = "apprentice-codec"
COOKIE_SECONDS = 12 * 3600
LARGEST_BODY = 64 * 1024 * 1024
HEADERS = ["Authorization", "Authorization-Extras", "Content-Type", "X-Namespace"]
PAGE = """<!doctype html><title>Apprentice codec server</title>
<form method="post" action="/login"><p>{said}</p><input type="password" name="token" autofocus aria-label="token">
<button>Let this browser read payloads for 12 hours</button></form>"""

Transform = Callable[[Sequence[Payload]], Awaitable[list[Payload]]]


def codec_app(converter: DataConverter, token: str, origins: Sequence[str]) -> Starlette:
    """`origins`: of the Web UI, such as http://localhost:8233; other pages of a browser get nothing."""
    server = _CodecServer(converter, token)
    return Starlette(
        routes=[
            Route("/", server.page, methods=["GET"]),
            Route("/login", server.login, methods=["POST"]),
            Route("/health", server.health, methods=["GET"]),
            Route("/{path:path}", server.transform, methods=["POST"]),
        ],
        middleware=[
            Middleware(
                CORSMiddleware,
                allow_origins=list(origins),
                allow_methods=["POST"],
                allow_headers=HEADERS,
                allow_credentials=True,
            )
        ],
    )


class _CodecServer:
    def __init__(self, converter: DataConverter, token: str) -> None:
        self._converter, self._token = converter, token
        # Not the token itself: what leaks out of a browser must not open the command line's door as well.
        self._cookie = hmac.new(token.encode(), b"apprentice codec cookie", hashlib.sha256).hexdigest()

    async def page(self, request: Request) -> Response:
        said = "You may read payloads." if self._allowed(request) else "The token:"
        return HTMLResponse(PAGE.format(said=said))

    async def health(self, request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def login(self, request: Request) -> Response:
        form = parse_qs((await request.body()).decode(errors="replace"))
        if not _same(form.get("token", [""])[0], self._token):
            return HTMLResponse(PAGE.format(said="That is not the token."), status_code=401)
        answer = RedirectResponse("/", status_code=303)
        secure = request.url.scheme == "https"
        answer.set_cookie(COOKIE, self._cookie, max_age=COOKIE_SECONDS, httponly=True, samesite="strict", secure=secure)
        return answer

    async def transform(self, request: Request) -> Response:
        found = self._transform_of(request)
        if found is None:
            return _refused(404, "there are /encode, /decode and /download")
        if not self._allowed(request):
            return _refused(401, "the token is missing or wrong", {"WWW-Authenticate": "Bearer"})
        if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            return _refused(415, "expected application/json")
        try:
            payloads = await _read(request)
        except (json_format.ParseError, ValueError, RecursionError):
            return _refused(400, "expected Payloads as protobuf JSON, not larger than 64 MiB")
        answer = Payloads(payloads=await found(payloads.payloads))
        return Response(json_format.MessageToJson(answer, indent=None), media_type="application/json")

    def _transform_of(self, request: Request) -> Transform | None:
        match request.url.path.rpartition("/")[2]:
            case "encode":
                return self._encode
            case "decode" if request.query_params.get("preserveStorageRefs") == "true":
                return self._decode_inline
            case "decode" | "download":
                return self._decode
        return None

    async def _encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        codec = self._converter.payload_codec
        return await codec.encode(payloads) if codec else list(payloads)

    async def _decode_inline(self, payloads: Sequence[Payload]) -> list[Payload]:
        codec = self._converter.payload_codec
        return [_shown(one) for one in (await codec.decode(payloads) if codec else payloads)]

    async def _decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        values = await self._converter.decode(payloads, [RawValue] * len(payloads))
        return [_shown(value.payload) for value in values]

    def _allowed(self, request: Request) -> bool:
        scheme, _, shown = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and _same(shown.strip(), self._token):
            return True
        return _same(request.cookies.get(COOKIE, ""), self._cookie)


async def _read(request: Request) -> Payloads:
    """Raises ParseError, ValueError."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_BODY:
            raise ValueError("too large")
    return json_format.Parse(body, Payloads(), ignore_unknown_fields=True)


def _shown(payload: Payload) -> Payload:
    """A mark as the text that says why."""
    if payload.metadata.get("encoding") != UNREADABLE.encode():
        return payload
    text = f"cannot be read: {payload.data.decode(errors='replace')}"
    return Payload(metadata={"encoding": b"json/plain"}, data=json.dumps(text).encode())


def _same(shown: str, expected: str) -> bool:
    return hmac.compare_digest(shown.encode(errors="replace"), expected.encode())


def _refused(status: int, why: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"error": why}, status_code=status, headers=headers)
