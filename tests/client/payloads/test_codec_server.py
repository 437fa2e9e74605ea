"""The codec server gives plain text to those who know the token, from pages it was told of, and to nobody else."""

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from google.protobuf import json_format
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.converter import DataConverter

from client.payloads.codec_server import codec_app
from tests.client.payloads.conftest import converter, new_key

TOKEN = "a-long-enough-token"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
WEB_UI = "http://localhost:8233"


@pytest.fixture
def both(tmp_path: Path) -> DataConverter:
    return converter(tmp_path, new_key())


@pytest.fixture
async def http(both: DataConverter) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=codec_app(both, TOKEN, [WEB_UI]))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8081") as client:
        yield client


def body(*payloads: Payload) -> Any:
    return json.loads(json_format.MessageToJson(Payloads(payloads=payloads)))


def data(answer: httpx.Response) -> list[Any]:
    return [json.loads(base64.b64decode(one["data"])) for one in answer.json()["payloads"]]


@pytest.mark.parametrize("path", ["/decode", "/default/decode", "/download"])
async def test_what_is_inline_and_what_is_stored_are_read(
    http: httpx.AsyncClient, both: DataConverter, path: str
) -> None:
    values = [{"text": "small"}, {"text": "large " * 50_000}]
    answer = await http.post(path, json=body(*await both.encode(values)), headers=BEARER)
    assert (answer.status_code, data(answer)) == (200, values)


async def test_references_are_left_where_they_are_asked_to_be(http: httpx.AsyncClient, both: DataConverter) -> None:
    small, large = await both.encode(["small", "large " * 50_000])
    answer = await http.post("/decode?preserveStorageRefs=true", json=body(small, large), headers=BEARER)
    decoded = json_format.Parse(answer.text, Payloads()).payloads
    assert (decoded[0].data, decoded[1].metadata["messageType"]) == (b'"small"', large.metadata["messageType"])


async def test_what_it_encodes_a_worker_reads(http: httpx.AsyncClient, both: DataConverter) -> None:
    plain = Payload(metadata={"encoding": b"json/plain"}, data=b'{"until":null}')
    answer = await http.post("/encode", json=body(plain), headers=BEARER)
    encoded = json_format.Parse(answer.text, Payloads()).payloads
    assert b"until" not in encoded[0].SerializeToString()
    assert await both.decode(encoded) == [{"until": None}]


async def test_what_it_cannot_read_is_shown_as_such_beside_what_it_can(
    http: httpx.AsyncClient, both: DataConverter, tmp_path: Path
) -> None:
    [ours], [theirs] = await both.encode(["ours"]), await converter(tmp_path, new_key()).encode(["theirs"])
    shown = data(await http.post("/decode", json=body(ours, theirs), headers=BEARER))
    assert shown[0] == "ours"
    assert "cannot be decrypted" in shown[1]


@pytest.mark.parametrize(
    "headers",
    [{}, {"Authorization": "Bearer wrong"}, {"Authorization": TOKEN}, {"Cookie": f"apprentice-codec={TOKEN}"}],
)
async def test_without_the_token_nothing_is_read(
    http: httpx.AsyncClient, both: DataConverter, headers: dict[str, str]
) -> None:
    answer = await http.post("/decode", json=body(*await both.encode(["secret"])), headers=headers)
    assert answer.status_code == 401
    assert "payloads" not in answer.json()


async def test_a_browser_that_gave_the_token_reads_with_its_cookie(
    http: httpx.AsyncClient, both: DataConverter
) -> None:
    assert (await http.post("/login", data={"token": "wrong"})).status_code == 401
    login = await http.post("/login", data={"token": TOKEN})
    assert login.status_code == 303
    cookie = login.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert TOKEN not in cookie
    answer = await http.post("/decode", json=body(*await both.encode(["mine"])), headers={"Origin": WEB_UI})
    assert data(answer) == ["mine"]
    assert answer.headers["access-control-allow-origin"] == WEB_UI
    assert answer.headers["access-control-allow-credentials"] == "true"


async def test_the_web_ui_may_ask_from_its_page_and_no_other_page_may(http: httpx.AsyncClient) -> None:
    asked = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type,x-namespace,authorization",
    }
    allowed = await http.options("/decode", headers={"Origin": WEB_UI} | asked)
    assert (allowed.status_code, allowed.headers["access-control-allow-origin"]) == (200, WEB_UI)
    other = await http.options("/decode", headers={"Origin": "https://evil.example"} | asked)
    assert other.status_code == 400
    assert "access-control-allow-origin" not in other.headers


@pytest.mark.parametrize(
    ("path", "content", "kind", "status"),
    [
        ("/decode", b"{", "application/json", 400),
        ("/decode", b'{"payloads": 7}', "application/json", 400),
        ("/decode", b"[" * 100_000, "application/json", 400),
        ("/decode", b'{"payloads": []}', "text/plain", 415),
        ("/elsewhere", b"{}", "application/json", 404),
    ],
)
async def test_nonsense_is_refused(http: httpx.AsyncClient, path: str, content: bytes, kind: str, status: int) -> None:
    answer = await http.post(path, content=content, headers=BEARER | {"Content-Type": kind})
    assert (answer.status_code, "error" in answer.json()) == (status, True)
