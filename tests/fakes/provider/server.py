"""The server: every API under its name, one bill, and failures on order.

POST /{api}/...    the API's own paths, such as /openai/v1/responses
POST /faults       {"kind": ..., "calls": n, "api": ""}: the fate of the next n calls; {"kind": null}: none
POST /answer       {"output": {...}}: what every model answers from now on; {"output": null}: by its rule
GET  /bill         every call so far: key, what became of it, tokens, price, when, where
"""

import json
import random
import time
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

from tests.fakes.provider import model
from tests.fakes.provider.api import Api, Code, api_key, unknown
from tests.fakes.provider.apis import APIS
from tests.fakes.provider.faults import Fault
from tests.fakes.provider.ledger import Ledger

HANG_SECONDS = 30.0
ERRORS: dict[Fault, tuple[int, Code, str]] = {
    "error_500": (500, "server_error", "an internal error"),
    "error_503": (503, "overloaded", "overloaded"),
    "rate_limited": (429, "rate_limit_exceeded", "slow down"),
    "quota": (429, "insufficient_quota", "pay first"),
    "wrong_key": (401, "invalid_api_key", "no such key"),
}


class Handler(BaseHTTPRequestHandler):
    """One connection. HTTP/1.1: connections are kept open, as a real server's are."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    ledger: Ledger
    latency: float
    key: str | None
    coins = random.Random()

    def do_GET(self) -> None:
        if self.path == "/bill":
            with self.ledger.lock:
                calls = [asdict(call) | {"cost": str(call.cost)} for call in self.ledger.calls]
            return self._send(200, calls)
        _, api, path = self._mounted()
        if api is None:
            return self._send(404, {})
        if self._is_stranger():
            return self._fail(api, 401, "invalid_api_key", "no such key")
        found = api.models(path) if api.claims("GET", path) else None
        if found is None:
            return self._fail(api, 404, "model_not_found", "no such model")
        self._send(200, found)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/faults":
            self.ledger.order(body["kind"], body.get("calls", 1), body.get("api", ""))
            return self._send(200, {})
        if self.path == "/answer":
            self.ledger.answer = body["output"]
            return self._send(200, {})
        name, api, path = self._mounted()
        if api is None:
            return self._send(404, {})
        if not api.claims("POST", path):
            return self._fail(api, 404, "not_found", "no such path")
        if self._is_stranger():
            return self._fail(api, 401, "invalid_api_key", "no such key")
        self._complete(name, api, path, body)

    def _complete(self, name: str, api: Api, path: str, body: dict[str, Any]) -> None:
        asked = api.asked(path, self._asked_with(), body)
        if unknown(asked.model):
            return self._fail(api, 404, "model_not_found", "no such model")
        fault = self.ledger.next_fault(name)
        if self.latency and fault not in ("rate_limited", "wrong_key"):
            time.sleep(self.coins.uniform(0.5, 1.5) * self.latency)
        said = model.say(asked, fault, self.ledger.answer)
        # Before the answer leaves: what was processed is charged, whoever still listens.
        self.ledger.bill(name, asked, said, fault)
        if fault in ERRORS:
            return self._fail(api, *ERRORS[fault])
        response = api.response(asked, said)
        if fault == "no_usage":
            response = {key: value for key, value in response.items() if key not in ("usage", "usageMetadata")}
        self._deliver(response, fault)

    def _deliver(self, response: dict[str, Any], fault: Fault | None) -> None:
        """On the wire, or as much of it as the fault lets through."""
        match fault:
            case "hang" | "hang_unpaid":
                time.sleep(HANG_SECONDS)
                self.close_connection = True
            case "reset":
                self.close_connection = True
            case "truncated" | "truncated_json":
                content = json.dumps(response).encode()
                self._headers(200, len(content) if fault == "truncated" else len(content) // 2)
                self.wfile.write(content[: len(content) // 2])
                self.close_connection = True
            case "gateway_timeout":
                self._send_bytes(504, b"<html>gateway time-out</html>")
            case "malformed":
                self._send_bytes(200, b'{"id": "1", "choices": [}')
            case "not_a_completion":
                self._send(200, {"object": "list", "data": []})
            case _:
                self._send(200, response)

    def _mounted(self) -> tuple[str, Api | None, str]:
        """The API whose name the path begins with, and the path as that API has it."""
        _, name, *rest = self.path.split("/", 2)
        found = APIS.get(name)
        return name, None if found is None else found.api, "/" + "".join(rest)

    def _is_stranger(self) -> bool:
        return self.key is not None and api_key(self._asked_with()) != self.key

    def _asked_with(self) -> httpx.Headers:
        return httpx.Headers(list(self.headers.items()))

    def _fail(self, api: Api, status: int, code: Code, message: str) -> None:
        delay = {"Retry-After": "1"} if code == "rate_limit_exceeded" else None
        self._send(status, api.error(status, code, message), delay)

    def _send(self, status: int, content: Any, headers: dict[str, str] | None = None) -> None:
        self._send_bytes(status, json.dumps(content).encode(), headers)

    def _send_bytes(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self._headers(status, len(content), headers)
        self.wfile.write(content)

    def _headers(self, status: int, length: int, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        usual = {"Content-Type": "application/json", "Content-Length": str(length)}
        for name, value in {**usual, **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the bill is the log."""

    def handle(self) -> None:
        """A caller that was killed is no news."""
        try:
            super().handle()
        except (ConnectionError, TimeoutError):
            self.close_connection = True


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Callers come and go."""
