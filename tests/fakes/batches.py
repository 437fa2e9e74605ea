"""A server of ours that speaks the batch APIs of OpenAI and Anthropic, and keeps what was sent to it.

A process of its own (`python -m tests.fakes.batches`, which prints its port), so that it outlives the worker that sent
a batch: how many batches it has is the truth about "sent twice". `BatchServer` starts and asks it.

    POST /v1/files, /v1/batches, ...      OpenAI: a file of requests, a batch over it, files of results
    POST /v1/messages/batches, ...        Anthropic
    POST /orders                          {"seconds": of a batch, "fate": ..., "items": [...], "forget_answer": n}
    GET  /sent                            every batch: its custom ids, its fate, whether it was cancelled
"""

import email.parser
import email.policy
import json
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import parse_qs, urlsplit

import httpx

from activities.remote.rule import words_of
from tests.fakes.rule_by_json_schema import answer

ROOT = Path(__file__).parents[2]
Fate = Literal["complete", "expire", "refuse", "never"]
# What becomes of the items of a batch, in turn: answered, declined by the model (paid), refused or failed (unpaid).
Item = Literal["answered", "declined", "invalid", "failed", "missing"]
INPUT_TOKENS, OUTPUT_TOKENS = 100, 10


@dataclass
class Sent:
    """One batch."""

    id: str
    requests: list[tuple[str, dict[str, Any]]]
    path: str
    at: float
    seconds: float
    fate: Fate
    items: list[Item]
    metadata: dict[str, str] = field(default_factory=dict)
    cancelled: bool = False

    @property
    def done(self) -> bool:
        return self.cancelled or (self.fate != "never" and time.time() >= self.at + self.seconds)

    @property
    def ended_well(self) -> bool:
        return self.fate == "complete" and not self.cancelled

    def fate_of(self, index: int) -> Item:
        return self.items[index % len(self.items)]


@dataclass
class Books:
    """All that was sent, and the orders for what comes next. `forget_answer`: so many batches are made and not told."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    files: dict[str, bytes] = field(default_factory=dict)
    batches: list[Sent] = field(default_factory=list)
    seconds: float = 0.0
    fate: Fate = "complete"
    items: list[Item] = field(default_factory=lambda: ["answered"])
    forget_answer: int = 0
    keys: set[str] = field(default_factory=set)

    def add(self, prefix: str, requests: list[tuple[str, dict[str, Any]]], path: str, metadata: dict[str, str]) -> Sent:
        with self.lock:
            id = f"{prefix}{len(self.batches) + 1:024}"
            sent = Sent(id, requests, path, time.time(), self.seconds, self.fate, list(self.items), metadata)
            self.batches.append(sent)
            return sent

    def find(self, id: str) -> Sent | None:
        return next((batch for batch in self.batches if batch.id == id), None)

    def told(self) -> bool:
        """Whether the caller hears of the batch that it has just made."""
        with self.lock:
            self.forget_answer -= 1
            return self.forget_answer < 0


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    books: Books

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        match url.path.strip("/").split("/"):
            case ["sent"]:
                self._send(200, [_shown(batch) for batch in self.books.batches])
            case ["v1", "batches"]:
                self._send(200, self._page("batch_", openai_batch, parse_qs(url.query), "after"))
            case ["v1", "messages", "batches"]:
                self._send(200, self._page("msgbatch_", anthropic_batch, parse_qs(url.query), "after_id"))
            case ["v1", "batches", id]:
                self._found(id, openai_batch)
            case ["v1", "messages", "batches", id]:
                self._found(id, anthropic_batch)
            case ["v1", "messages", "batches", id, "results"]:
                self._lines(self.books.find(id), anthropic_lines)
            case ["v1", "files", id, "content"]:
                kind, _, batch = id.partition("-of-")
                lines = openai_output if kind == "file-output" else openai_errors
                self._lines(self.books.find(batch), lines)
            case _:
                self._send(404, {"error": {"message": "no such path", "code": "not_found"}})

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        match self.path.strip("/").split("/"):
            case ["orders"]:
                for name, value in json.loads(content).items():
                    setattr(self.books, name, value)
                self._send(200, {})
            case ["v1", "files"]:
                self._upload(content)
            case ["v1", "batches"]:
                self._create_openai(json.loads(content))
            case ["v1", "messages", "batches"]:
                requests = [(one["custom_id"], one["params"]) for one in json.loads(content)["requests"]]
                self._tell(self.books.add("msgbatch_", requests, "/v1/messages", {}), anthropic_batch)
            case ["v1", "batches", id, "cancel"]:
                self._cancel(id, openai_batch)
            case ["v1", "messages", "batches", id, "cancel"]:
                self._cancel(id, anthropic_batch)
            case _:
                self._send(404, {"error": {"message": "no such path", "code": "not_found"}})

    def _upload(self, content: bytes) -> None:
        head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        form = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + content)
        parts = {part.get_param("name", header="content-disposition"): part for part in form.iter_parts()}
        if parts["purpose"].get_content().strip() != "batch":
            self._send(400, {"error": {"message": "wrong purpose", "code": "invalid_purpose"}})
            return
        data = parts["file"].get_payload(decode=True)
        assert isinstance(data, bytes)
        with self.books.lock:
            id = f"file-{len(self.books.files) + 1:022}"
            self.books.files[id] = data
        about = {"object": "file", "purpose": "batch", "filename": "batch.jsonl", "status": "processed"}
        self._send(200, about | {"id": id, "bytes": len(data), "created_at": int(time.time())})

    def _create_openai(self, body: dict[str, Any]) -> None:
        lines = [json.loads(line) for line in self.books.files[body["input_file_id"]].splitlines()]
        assert {line["url"] for line in lines} == {body["endpoint"]}
        assert {line["method"] for line in lines} == {"POST"}
        requests = [(line["custom_id"], line["body"]) for line in lines]
        self._tell(self.books.add("batch_", requests, body["endpoint"], body.get("metadata") or {}), openai_batch)

    def _tell(self, sent: Sent, shown: Any) -> None:
        if self.books.told():
            self._send(200, shown(sent))
        else:
            self.close_connection = True

    def _cancel(self, id: str, shown: Any) -> None:
        if (batch := self.books.find(id)) is not None:
            batch.cancelled = batch.cancelled or not batch.done
        self._found(id, shown)

    def _found(self, id: str, shown: Any) -> None:
        batch = self.books.find(id)
        self._send(200, shown(batch)) if batch else self._send(404, {"error": {"code": "not_found"}})

    def _page(self, prefix: str, shown: Any, query: dict[str, list[str]], after: str) -> dict[str, Any]:
        found = [batch for batch in reversed(self.books.batches) if batch.id.startswith(prefix)]
        if after in query:
            found = found[[batch.id for batch in found].index(query[after][0]) + 1 :]
        limit = min(2, int(query.get("limit", ["20"])[0]))  # so that pages are turned
        page = [shown(batch) for batch in found[:limit]]
        ends = {"first_id": page[0]["id"], "last_id": page[-1]["id"]} if page else {"first_id": None, "last_id": None}
        return {"object": "list", "data": page, "has_more": len(found) > limit, **ends}

    def _lines(self, batch: Sent | None, lines: Any) -> None:
        if batch is None:
            self._send(404, {"error": {"code": "not_found"}})
        else:
            self._send_bytes(200, b"".join(json.dumps(line).encode() + b"\n" for line in lines(batch)))

    def _send(self, status: int, content: Any) -> None:
        self._send_bytes(status, json.dumps(content).encode())

    def _send_bytes(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""

    def handle(self) -> None:
        """A caller that was killed is no news."""
        try:
            super().handle()
        except (ConnectionError, TimeoutError):
            self.close_connection = True


# --- OpenAI --------------------------------------------------------------------------------------------------------


def openai_batch(batch: Sent) -> dict[str, Any]:
    status = "in_progress"
    if batch.done:
        status = (
            "cancelled" if batch.cancelled else {"expire": "expired", "refuse": "failed"}.get(batch.fate, "completed")
        )
    answered = len(list(openai_output(batch)))
    failed = len(list(openai_errors(batch)))
    return {
        "id": batch.id,
        "object": "batch",
        "endpoint": batch.path,
        "input_file_id": "file-x",
        "completion_window": "24h",
        "created_at": int(batch.at),
        "status": status,
        "metadata": batch.metadata,
        "errors": {"object": "list", "data": [{"code": "model_not_found", "message": "..."}]}
        if status == "failed"
        else None,
        "output_file_id": f"file-output-of-{batch.id}" if batch.done and answered else None,
        "error_file_id": f"file-errors-of-{batch.id}" if batch.done and failed else None,
        "request_counts": {"total": len(batch.requests), "completed": answered, "failed": failed},
    }


def openai_output(batch: Sent) -> Any:
    if batch.ended_well:
        for index, (custom_id, body) in enumerate(batch.requests):
            if batch.fate_of(index) in ("answered", "declined"):
                response = {"status_code": 200, "request_id": "req_1", "body": _response(batch, index, body)}
                yield {"id": "batch_req_1", "custom_id": custom_id, "response": response, "error": None}


def openai_errors(batch: Sent) -> Any:
    if batch.fate == "refuse":
        return
    for index, (custom_id, _) in enumerate(batch.requests):
        line: dict[str, Any] = {"id": "batch_req_1", "custom_id": custom_id, "response": None, "error": None}
        if not batch.ended_well:
            code = "batch_cancelled" if batch.cancelled else "batch_expired"
            yield line | {"error": {"code": code, "message": "This request could not be executed."}}
        elif batch.fate_of(index) in ("invalid", "failed"):
            status = 400 if batch.fate_of(index) == "invalid" else 500
            error = {"error": {"message": "...", "code": "invalid_value"}}
            yield line | {"response": {"status_code": status, "request_id": "req_1", "body": error}}


# --- Anthropic -----------------------------------------------------------------------------------------------------


def anthropic_batch(batch: Sent) -> dict[str, Any]:
    kinds = [line["result"]["type"] for line in anthropic_lines(batch)] if batch.done else []
    names = ("succeeded", "errored", "canceled", "expired")
    counts = {name: kinds.count(name) for name in names} | {"processing": 0 if batch.done else len(batch.requests)}
    at = datetime.fromtimestamp(batch.at, UTC).isoformat()
    return {
        "id": batch.id,
        "type": "message_batch",
        "processing_status": "ended" if batch.done else "in_progress",
        "request_counts": counts,
        "created_at": at,
        "expires_at": at,
        "ended_at": at if batch.done else None,
        "archived_at": None,
        "cancel_initiated_at": at if batch.cancelled else None,
        "results_url": "https://elsewhere.example/never-followed" if batch.done else None,
    }


def anthropic_lines(batch: Sent) -> Any:
    for index, (custom_id, body) in enumerate(batch.requests):
        if not batch.ended_well:
            result: dict[str, Any] = {"type": "canceled" if batch.cancelled else "expired"}
        elif batch.fate_of(index) in ("answered", "declined"):
            result = {"type": "succeeded", "message": _response(batch, index, body)}
        else:
            kind = "api_error" if batch.fate_of(index) == "failed" else "invalid_request_error"
            error = {"type": "error", "error": {"type": kind, "message": "..."}, "request_id": "req_1"}
            result = {"type": "errored", "error": error}
        yield {"custom_id": custom_id, "result": result}


# --- answers -------------------------------------------------------------------------------------------------------


def _response(batch: Sent, index: int, body: dict[str, Any]) -> dict[str, Any]:
    """The body of the single call's 200."""
    declined = batch.fate_of(index) == "declined"
    match batch.path:
        case "/v1/messages":
            text = _answer(body["output_config"]["format"]["schema"], body["messages"][-1]["content"])
            return {
                "id": "msg_1",
                "type": "message",
                "role": "assistant",
                "model": body["model"],
                "content": [] if declined else [{"type": "text", "text": text}],
                "stop_reason": "refusal" if declined else "end_turn",
                "stop_sequence": None,
                "usage": {"input_tokens": INPUT_TOKENS, "output_tokens": OUTPUT_TOKENS},
            }
        case "/v1/responses":
            text = _answer(body["text"]["format"]["schema"], body["input"][-1]["content"])
            part = {"type": "refusal", "refusal": "No."} if declined else _written(text)
            message = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [part]}
            return {
                "id": "resp_1",
                "object": "response",
                "created_at": int(batch.at),
                "status": "completed",
                "model": body["model"],
                "output": [message],
                "parallel_tool_calls": True,
                "tool_choice": "auto",
                "tools": [],
                "usage": {
                    "input_tokens": INPUT_TOKENS,
                    "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
                    "output_tokens": OUTPUT_TOKENS,
                    "output_tokens_details": {"reasoning_tokens": 0},
                    "total_tokens": INPUT_TOKENS + OUTPUT_TOKENS,
                },
            }
    raise ValueError(batch.path)


def _written(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": []}


def _answer(schema: dict[str, Any], text: str) -> str:
    return json.dumps(answer(schema, words_of(json.loads(text))))


def _shown(batch: Sent) -> dict[str, Any]:
    keys = [custom_id for custom_id, _ in batch.requests]
    return {"id": batch.id, "keys": keys, "fate": batch.fate, "cancelled": batch.cancelled, "path": batch.path}


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Callers come and go."""


class BatchServer:
    """The server as its users see it; it ends with the block."""

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", __name__]
        self._process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, start_new_session=True)
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

    def order(self, **orders: Any) -> None:
        """How the next batches go: `seconds`, `fate`, `items`, `forget_answer`."""
        self._client.post("/orders", json=orders).raise_for_status()

    def sent(self) -> list[dict[str, Any]]:
        """Every batch so far, in order."""
        found: list[dict[str, Any]] = self._client.get("/sent").raise_for_status().json()
        return found


if __name__ == "__main__":
    Handler.books = Books()
    server = Server(("127.0.0.1", 0), Handler)
    print(server.server_port, flush=True)
    server.serve_forever()
