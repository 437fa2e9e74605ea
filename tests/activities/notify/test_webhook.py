"""`deliver_alert` on the wire: a real HTTP server on this machine receives it."""

import json
import logging
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.notify.webhook import DeliverAlert
from activities.store import Store
from apprentice.messages import Alert, AlertKind
from apprentice.settings import AlertSettings, RemoteSettings, TaskSettings

ALERT = Alert(
    id="tickets-7",
    task="tickets",
    kind=AlertKind.QUALITY,
    message="back to the remote model: größer ✓",
    at=datetime(2026, 3, 1, 12, tzinfo=UTC),
)
SECRET = "hook-secret-1234"


@dataclass
class Receiver:
    """What arrived, and how to answer it."""

    port: int = 0
    status: int = 200
    seconds: float = 0.0
    released: threading.Event = field(default_factory=threading.Event)
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hooks/{SECRET}"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    received = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.requests.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            if received.seconds:
                received.released.wait(received.seconds)
            self.send_response(received.status)
            if 300 <= received.status < 400:
                self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        received.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield received
        received.released.set()
        server.shutdown()
        thread.join()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with await Store.open(f"sqlite:///{tmp_path}/store.db") as store:
        yield store


async def deliver(store: Store, url: str | None, named: str | None = "HOOK", patience: float = 5.0) -> bool:
    settings = TaskSettings(
        name="tickets",
        input_schema={"text": "str"},
        output_schema={"category": "str"},
        remote=RemoteSettings(provider="simulated", model="teacher"),
        alerts=AlertSettings(webhook_env=named),
    )
    digest = await store.settings.put(settings)
    environment = {} if url is None else {"HOOK": url}
    activity = DeliverAlert(store, environment, lambda: httpx.AsyncClient(timeout=patience))
    delivered: bool = await ActivityEnvironment().run(activity.deliver_alert, digest, ALERT)
    return delivered


async def failure(store: Store, url: str | None, patience: float = 5.0) -> ApplicationError:
    with pytest.raises(ApplicationError) as caught:
        await deliver(store, url, patience=patience)
    return caught.value


@pytest.mark.parametrize("status", [200, 202, 204])
async def test_the_alert_arrives_with_its_id_as_idempotency_key(store: Store, receiver: Receiver, status: int) -> None:
    receiver.status = status
    assert await deliver(store, receiver.url)
    [(path, headers, body)] = receiver.requests
    assert path == f"/hooks/{SECRET}"
    assert headers["idempotency-key"] == "tickets-7"
    assert headers["content-type"] == "application/json"
    assert json.loads(body) == {
        "id": "tickets-7",
        "task": "tickets",
        "kind": "quality",
        "message": "back to the remote model: größer ✓",
        "at": "2026-03-01T12:00:00Z",
    }


async def test_without_a_webhook_nothing_is_sent(store: Store, receiver: Receiver) -> None:
    assert not await deliver(store, receiver.url, named=None)
    assert receiver.requests == []


@pytest.mark.parametrize(
    ("status", "kind", "final"),
    [
        (301, "WebhookRefused", True),
        (400, "WebhookRefused", True),
        (401, "WebhookRefused", True),
        (404, "WebhookRefused", True),
        (410, "WebhookRefused", True),
        (408, "WebhookFailed", False),
        (429, "WebhookFailed", False),
        (500, "WebhookFailed", False),
        (503, "WebhookFailed", False),
    ],
)
async def test_a_refusal_is_final_and_a_failure_is_tried_again(
    store: Store, receiver: Receiver, status: int, kind: str, final: bool
) -> None:
    receiver.status = status
    error = await failure(store, receiver.url)
    assert (error.type, error.non_retryable) == (kind, final)
    assert str(status) in error.message
    assert len(receiver.requests) == 1


async def test_nobody_listening_is_tried_again(store: Store, receiver: Receiver) -> None:
    error = await failure(store, f"http://127.0.0.1:1/{SECRET}")
    assert (error.type, error.non_retryable) == ("WebhookFailed", False)


async def test_a_receiver_that_hangs_is_tried_again(store: Store, receiver: Receiver) -> None:
    receiver.seconds = 30
    error = await failure(store, receiver.url, patience=0.2)
    assert (error.type, error.non_retryable) == ("WebhookFailed", False)
    assert "ReadTimeout" in error.message


async def test_a_missing_variable_is_named(store: Store) -> None:
    error = await failure(store, None)
    assert (error.type, error.non_retryable) == ("WebhookMissing", True)
    assert "HOOK" in error.message


@pytest.mark.parametrize("url", [f"ftp://{SECRET}/x", SECRET, f"http://{SECRET}:port/", "http:///x"])
async def test_a_url_that_is_none_is_refused_without_quoting_it(store: Store, url: str) -> None:
    error = await failure(store, url)
    assert (error.type, error.non_retryable) == ("WebhookMissing", True)
    assert SECRET not in error.message


async def test_the_url_is_in_no_error_and_no_log(
    store: Store, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await deliver(store, receiver.url)
    receiver.status = 500
    error = await failure(store, receiver.url)
    unreachable = await failure(store, f"http://127.0.0.1:1/{SECRET}")
    for each in (error, unreachable):
        assert SECRET not in str(each)
        assert each.__cause__ is None
    assert SECRET not in caplog.text
