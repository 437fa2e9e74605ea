"""A server of ours that speaks OpenAI's Chat Completions, keeps a bill, and fails on order.

A process of its own (`python -m tests.fakes.chat_completions`, which prints its port), so that it outlives those that
call it: what it has billed is the truth that all other books are held against. `ChatServer` starts and asks it.

    POST /v1/chat/completions    the API
    POST /faults                 {"kind": ..., "calls": n}: the fate of the next n calls; {"kind": null}: none
    GET  /bill                   every call so far: key, what became of it, tokens, price, when
"""

import argparse
import json
import random
import subprocess
import sys
import threading
import time
from collections import deque
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, get_args

import httpx

from activities.remote.rule import words_of
from tests.fakes.rule_by_json_schema import answer

ROOT = Path(__file__).parents[2]
HANG_SECONDS = 30.0

Fault = Literal[
    "hang",  # processed and billed, never answered
    "hang_unpaid",  # neither
    "reset",  # processed and billed, the connection is cut before the answer
    "truncated",  # half of the answer, then the connection is cut
    "truncated_json",  # half of the answer, as if it were all
    "error_500",
    "error_503",
    "rate_limited",  # 429 with Retry-After: 1
    "quota",  # 429 that says that the account is empty
    "gateway_timeout",  # 504: processed and billed, nobody waited for it
    "malformed",  # 200, not JSON
    "not_a_completion",  # 200, JSON of another kind
    "wrong_schema",  # an answer that does not fit the schema
    "not_json_inside",  # a completion whose text is not JSON
    "no_usage",  # a good answer that does not say what it cost
    "refusal",
    "content_filter",
    "cut_off",  # finish_reason: length
]
FAULTS: tuple[Fault, ...] = get_args(Fault)
UNPAID: frozenset[Fault] = frozenset({"hang_unpaid", "error_500", "error_503", "rate_limited", "quota"})


@dataclass(frozen=True)
class Billed:
    """One call as the provider saw it. `cost` is 0 for one that it does not charge; `at` is Unix time."""

    key: str | None
    fate: str
    input_tokens: int
    output_tokens: int
    cost: Decimal
    at: float


@dataclass
class Ledger:
    """The bill and the faults to come."""

    input_price: Decimal
    output_price: Decimal
    idempotent: bool
    calls: list[Billed] = field(default_factory=list)
    faults: deque[Fault] = field(default_factory=deque)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def next_fault(self) -> Fault | None:
        with self.lock:
            return self.faults.popleft() if self.faults else None

    def bill(self, key: str | None, fate: str, tokens: tuple[int, int], paid: bool) -> None:
        """Once for each call that was processed; once for each key, if repeated keys are free."""
        with self.lock:
            known = self.idempotent and any(call.key == key and call.cost for call in self.calls)
            price = (self.input_price * tokens[0] + self.output_price * tokens[1]) / 1_000_000
            cost = price if paid and not known else Decimal(0)
            self.calls.append(Billed(key, fate, *tokens, cost, time.time()))


class Handler(BaseHTTPRequestHandler):
    """One connection. HTTP/1.1: connections are kept open, as a real server's are."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    ledger: Ledger
    latency: float
    coins = random.Random()

    def do_GET(self) -> None:
        with self.ledger.lock:
            calls = [asdict(call) | {"cost": str(call.cost)} for call in self.ledger.calls]
        self._send(200, calls)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/faults":
            with self.ledger.lock:
                if body["kind"] is None:
                    self.ledger.faults.clear()
                else:
                    self.ledger.faults.extend([body["kind"]] * body["calls"])
            self._send(200, {})
        elif self.path == "/v1/chat/completions":
            self._complete(body)
        else:
            self._send(404, {"error": {"message": "no such path", "code": "not_found"}})

    def _complete(self, body: dict[str, Any]) -> None:
        fault = self.ledger.next_fault()
        if self.latency and fault != "rate_limited":
            time.sleep(self.coins.uniform(0.5, 1.5) * self.latency)
        completion = _completion(body, fault)
        usage = completion["usage"]
        tokens = usage["prompt_tokens"], usage["completion_tokens"]
        # Before the answer leaves: what was processed is charged, whoever still listens.
        self.ledger.bill(self.headers.get("Idempotency-Key"), fault or "answered", tokens, fault not in UNPAID)
        if fault == "no_usage":
            del completion["usage"]
        match fault:
            case "hang" | "hang_unpaid":
                time.sleep(HANG_SECONDS)
                self.close_connection = True
            case "reset":
                self.close_connection = True
            case "truncated" | "truncated_json":
                content = json.dumps(completion).encode()
                self._headers(200, len(content) if fault == "truncated" else len(content) // 2)
                self.wfile.write(content[: len(content) // 2])
                self.close_connection = True
            case "error_500":
                self._send(500, {"error": {"message": "an internal error", "type": "server_error"}})
            case "error_503":
                self._send(503, {"error": {"message": "overloaded", "type": "server_error"}})
            case "gateway_timeout":
                self._send_bytes(504, b"<html>gateway time-out</html>")
            case "rate_limited":
                self._send(
                    429, {"error": {"message": "slow down", "code": "rate_limit_exceeded"}}, {"Retry-After": "1"}
                )
            case "quota":
                self._send(429, {"error": {"message": "pay first", "code": "insufficient_quota"}})
            case "malformed":
                self._send_bytes(200, b'{"id": "chatcmpl-1", "choices": [}')
            case "not_a_completion":
                self._send(200, {"object": "list", "data": []})
            case _:
                self._send(200, completion)

    def _send(self, status: int, content: Any, headers: dict[str, str] | None = None) -> None:
        self._send_bytes(status, json.dumps(content).encode(), headers)

    def _send_bytes(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self._headers(status, len(content), headers)
        self.wfile.write(content)

    def _headers(self, status: int, length: int, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {
            "Content-Type": "application/json",
            "Content-Length": str(length),
            **(headers or {}),
        }.items():
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


def _completion(body: dict[str, Any], fault: Fault | None) -> dict[str, Any]:
    """What the real API would send, for that fault. Four characters a token."""
    output = answer(body["response_format"]["json_schema"]["schema"], words_of(_input(body)))
    if fault == "wrong_schema":
        output = {name: {"not": "what was asked for"} for name in output}
    text: str | None = json.dumps(output, ensure_ascii=False)
    finish, refusal = "stop", None
    match fault:
        case "not_json_inside":
            text = f"Of course! Here is what you asked for: {text}"
        case "refusal":
            text, refusal = None, "I cannot help with that."
        case "content_filter":
            text, finish = "", "content_filter"
        case "cut_off":
            text, finish = (text or "")[:-3], "length"
    input_tokens = len(json.dumps(body, ensure_ascii=False)) // 4
    output_tokens = min(len(text or refusal or "") // 4 + 1, body["max_tokens"])
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": body["model"],
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text, "refusal": refusal},
                "logprobs": None,
                "finish_reason": finish,
            }
        ],
        "usage": {
            "prompt_tokens": input_tokens,
            "completion_tokens": output_tokens,
            "total_tokens": input_tokens + output_tokens,
        },
    }


def _input(body: dict[str, Any]) -> Any:
    """The last thing that a user said in JSON: after it may come the word that an answer does not fit."""
    said = [message["content"] for message in body["messages"] if message["role"] == "user"]
    return json.loads(next(text for text in reversed(said) if text.startswith("{")))


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Callers come and go."""


class ChatServer:
    """The server as its users see it; it ends with the block. Prices are for a million tokens."""

    def __init__(
        self, *, input_price: str = "3", output_price: str = "15", latency: float = 0.0, idempotent: bool = False
    ) -> None:
        self._command = [sys.executable, "-m", __name__, "--input-price", input_price, "--output-price", output_price]
        self._command += ["--latency", str(latency), *(["--idempotent"] if idempotent else [])]

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command, cwd=ROOT, stdout=subprocess.PIPE, start_new_session=True)
        assert self._process.stdout is not None
        self.root = f"http://127.0.0.1:{int(self._process.stdout.readline())}"
        self._client = httpx.Client(base_url=self.root, trust_env=False, timeout=10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()
        self._process.kill()
        self._process.communicate()

    @property
    def base_url(self) -> str:
        """What belongs into `base_url` of the configuration."""
        return f"{self.root}/v1"

    def fail(self, kind: Fault, calls: int = 1) -> None:
        """Let the next calls (after those ordered before) fail this way."""
        self._client.post("/faults", json={"kind": kind, "calls": calls}).raise_for_status()

    def heal(self) -> None:
        """Forget the faults that have not happened."""
        self._client.post("/faults", json={"kind": None}).raise_for_status()

    def bill(self) -> list[Billed]:
        """Every call so far, in order."""
        rows = self._client.get("/bill").raise_for_status().json()
        return [Billed(**row | {"cost": Decimal(row["cost"])}) for row in rows]


def main() -> None:
    """Serve until killed, or until nobody holds the other end of our output."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--input-price", type=Decimal, required=True)
    parser.add_argument("--output-price", type=Decimal, required=True)
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--idempotent", action="store_true")
    options = parser.parse_args()
    Handler.ledger = Ledger(options.input_price, options.output_price, options.idempotent)
    Handler.latency = options.latency
    server = Server(("127.0.0.1", 0), Handler)
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
