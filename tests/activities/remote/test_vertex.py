"""`google` through Vertex AI: the machine's credentials, by Google's own library, at a sign-in of ours."""

import asyncio
import json
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from google import genai
from google.genai import types
from google.oauth2.credentials import Credentials

from activities.remote.errors import AuthFailed, RemoteError, Unreachable
from activities.remote.google import Google
from activities.remote.http_model import HttpModel
from activities.remote.registry import remote_model
from tests.activities.remote.conftest import make_settings
from tests.activities.remote.suite import KEY, Make, ask, body_of
from tests.activities.remote.test_google import ask_the_sdk
from tests.fakes.provider.process import FakeProvider

ACCOUNT = "worker@project.iam.gserviceaccount.com"


class SignIn(ThreadingHTTPServer):
    """Google's OAuth endpoint: gives the key of the test, or what `answer` says instead, after `delay` seconds."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.calls = 0
        self.delay = 0.0
        self.lasts = 3600
        self.answer: tuple[int, dict[str, str]] | None = None


class _Handler(BaseHTTPRequestHandler):
    server: SignIn

    def do_POST(self) -> None:
        self.server.calls += 1
        time.sleep(self.server.delay)
        good = {"access_token": KEY, "expires_in": self.server.lasts, "token_type": "Bearer"}
        status, body = self.server.answer or (200, good)
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


@pytest.fixture
def sign_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SignIn]:
    """Runs, and the machine's credentials are a service account of it."""
    with SignIn() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        key = generate_private_key(public_exponent=65537, key_size=2048)
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        account = {
            "type": "service_account",
            "project_id": "project",
            "client_email": ACCOUNT,
            "private_key": pem,
            "token_uri": f"http://127.0.0.1:{server.server_port}/token",
        }
        file = tmp_path / "account.json"
        file.write_text(json.dumps(account))
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
        yield server
        server.shutdown()


@pytest.fixture(scope="module")
def provider() -> Iterator[FakeProvider]:
    with FakeProvider(api_key=KEY) as running:
        yield running


@pytest.fixture
def at(provider: FakeProvider) -> Make:
    provider.heal()

    def make(**changes: Any) -> Any:
        values: dict[str, Any] = {"provider": "google", "base_url": f"{provider.root}/google/v1", "timeout_seconds": 5}
        return make_settings(**values | {"vertex": {"project": "p", "location": "europe-west4"}} | changes)

    return make


async def failure(settings: Any) -> RemoteError:
    """How a call ends, and that it says nothing of the account."""
    with pytest.raises(RemoteError) as caught:
        await ask(settings)
    assert ACCOUNT not in str(caught.value)
    assert not caught.value.charged
    return caught.value


async def test_a_call_is_made_with_a_token_of_the_machines_account(
    provider: FakeProvider, at: Make, sign_in: SignIn
) -> None:
    answer = await ask(at())
    assert answer.cost == provider.bill()[-1].cost > 0
    assert provider.bill()[-1].model == "teacher"
    assert sign_in.calls == 1


async def test_many_calls_share_a_token_and_an_old_one_is_replaced(at: Make, sign_in: SignIn) -> None:
    settings = at()
    dialect = Google(settings.remote, settings)
    sign_in.delay = 0.1
    await asyncio.gather(*(dialect.sign_in() for _ in range(20)))
    assert sign_in.calls == 1
    sign_in.lasts = 60  # less than is needed to be sure of it
    other = Google(settings.remote, settings)
    await other.sign_in()
    await other.sign_in()
    assert sign_in.calls == 3
    assert other.headers("k") == {"Authorization": f"Bearer {KEY}"}


async def test_signing_in_does_not_stop_the_worker(at: Make, sign_in: SignIn) -> None:
    settings = at()
    sign_in.delay = 0.3
    waiting = asyncio.create_task(Google(settings.remote, settings).sign_in())
    beats = 0
    while not waiting.done():
        await asyncio.sleep(0.01)
        beats += 1
    assert beats > 5


async def test_a_refused_account_is_a_failed_sign_in(at: Make, sign_in: SignIn) -> None:
    sign_in.answer = (400, {"error": "invalid_grant", "error_description": f"{ACCOUNT} is not known"})
    error = await failure(at())
    assert type(error) is AuthFailed
    assert "GOOGLE_APPLICATION_CREDENTIALS" in str(error)


async def test_a_sign_in_that_is_away_sent_nothing(at: Make, sign_in: SignIn) -> None:
    sign_in.delay = 1
    assert type(await failure(at(timeout_seconds=0.5))) is Unreachable
    sign_in.delay, sign_in.answer = 0, (503, {"error": "backend_error"})
    assert type(await failure(at())) is Unreachable
    sign_in.answer = None
    assert await ask(at())


async def test_without_credentials_it_says_what_to_do(
    at: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    error = await failure(at())
    assert type(error) is AuthFailed
    assert "there are no Google credentials" in str(error)


async def test_without_the_library_it_names_the_extra(at: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "google.auth", None)
    error = await failure(at())
    assert type(error) is AuthFailed
    assert "install the extra `vertex`" in str(error)


async def test_a_probe_signs_in_and_asks_for_the_model(at: Make, sign_in: SignIn) -> None:
    for model in ("gemini-2.5-flash", "no-such-model"):
        settings = at(model=model)
        found = remote_model(settings.remote, settings)
        assert isinstance(found, HttpModel)
        if model == "no-such-model":
            with pytest.raises(RemoteError, match="check `model`"):
                await found.check()
        else:
            await found.check()


def test_headers_without_a_sign_in_are_none(at: Make) -> None:
    settings = at()
    with pytest.raises(AuthFailed, match="not signed in"):
        Google(settings.remote, settings).headers("k")


@pytest.mark.parametrize("location", ["global", "us-central1", "europe-west4", "us", "eu"])
def test_a_call_goes_where_googles_sdk_sends_it(location: str) -> None:
    settings = make_settings(provider="google", model="teacher", vertex={"project": "my-project", "location": location})
    sent: list[httpx2.Request] = []

    def keep(request: httpx2.Request) -> httpx2.Response:
        sent.append(request)
        return httpx2.Response(200, json={"candidates": []})

    options = types.HttpOptions(api_version="v1", client_args={"transport": httpx2.MockTransport(keep)})
    credentials = Credentials(token="t")  # type: ignore[no-untyped-call]
    body = body_of(settings)
    with genai.Client(
        vertexai=True, project="my-project", location=location, credentials=credentials, http_options=options
    ) as client:
        ask_the_sdk(client, body)
        client.models.get(model="teacher")
    asked, probed = sent
    dialect = Google(settings.remote, settings)
    assert (dialect.url, dialect.probe) == (str(asked.url), str(probed.url))
    assert json.loads(asked.content) == body
