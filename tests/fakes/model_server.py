"""A model server of ours, for what the real ones do rarely: a queue of scripted answers, and what was asked."""

import json
import threading
import time
from collections import deque
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

Answer = Callable[[BaseHTTPRequestHandler], None]


def says(status: int, body: Any = None, content_type: str = "application/json") -> Answer:
    """An answer with this status and JSON (or text) body."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        handler.send_response(status)
        handler.send_header("Content-Type", content_type)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    return answer


def hangs(seconds: float) -> Answer:
    """Silence, then an answer."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        time.sleep(seconds)
        says(200, {})(handler)

    return answer


def breaks_off(handler: BaseHTTPRequestHandler) -> None:
    """The connection ends without an answer."""
    handler.close_connection = True
    handler.connection.close()


class _Quiet(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller who did not wait for the answer is no news."""


class ModelServer:
    """Answers each path with the next of `answers[path]`, its last one again and again; 404 where there is none."""

    def __init__(self, answers: dict[str, list[Answer]]) -> None:
        self.asked: list[tuple[str, Any, dict[str, str]]] = []
        self.answers = {path: deque(list_) for path, list_ in answers.items()}
        self._server = _Quiet(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def bodies(self, path: str) -> list[Any]:
        """The JSON that was sent to a path, in order."""
        return [body for asked, body, _ in self.asked if asked == path]

    def _next(self, path: str) -> Answer:
        queue = self.answers.get(path)
        if not queue:
            return says(404, {"error": "there is no such thing"})
        return queue.popleft() if len(queue) > 1 else queue[0]

    def _handler(server: Self) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _answer(self) -> None:
                content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                body = json.loads(content) if content else None
                server.asked.append((self.path, body, dict(self.headers)))
                server._next(self.path)(self)

            do_GET = do_POST = do_HEAD = _answer

            def log_message(self, format: str, *args: Any) -> None:
                pass

        return Handler
