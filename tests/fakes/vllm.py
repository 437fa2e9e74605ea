"""A server of ours that speaks vLLM's API: chat, models, health, and LoRA adapters that come and go while it runs.

Its words and status codes are those of vLLM 0.32.0, which the tests can be run against as well (tests/servers/vllm.py).
A process of its own (`python -m tests.fakes.vllm PORT`): it can be killed and frozen.
"""

import argparse
import json
import math
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.fakes.rule_by_json_schema import answer

CONTEXT_TOKENS = 2048


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    base: str
    adapters: dict[str, str]
    takes_adapters: bool
    changes_them: bool
    seconds: float

    def do_GET(self) -> None:
        match self.path:
            case "/health":
                self._send(200, None)
            case "/v1/models":
                cards = [{"id": self.base, "object": "model", "root": f"/models/{self.base}", "parent": None}]
                loaded = dict(self.adapters).items()
                cards += [{"id": name, "object": "model", "root": path, "parent": self.base} for name, path in loaded]
                self._send(200, {"object": "list", "data": cards})
            case _:
                self._send(404, {"detail": "Not Found"})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/v1/chat/completions":
            self._complete(body)
        elif self.path == "/v1/load_lora_adapter" and self.changes_them:
            self._load(body["lora_name"], body["lora_path"])
        elif self.path == "/v1/unload_lora_adapter" and self.changes_them:
            self._unload(body["lora_name"])
        else:
            self._send(404, {"detail": "Not Found"})

    def _complete(self, body: dict[str, Any]) -> None:
        model = body["model"]
        if model not in (self.base, *self.adapters):
            self._fail(404, "NotFoundError", f"The model `{model}` does not exist. Valid aliases: {self.base}.")
            return
        told = "".join(message["content"] for message in body["messages"])
        if len(told) > CONTEXT_TOKENS:
            words = f"This model's maximum context length is {CONTEXT_TOKENS} tokens. However, your prompt contains at"
            self._fail(400, "BadRequestError", f"{words} least {CONTEXT_TOKENS + 1} input tokens, which exceeds it.")
            return
        form = body["response_format"]
        assert form["type"] == "json_schema"
        time.sleep(self.seconds)
        # Weights make the difference, not names: an adapter answers otherwise than its base.
        seed = Path(self.adapters.get(model, self.base)).parent.name
        output = answer(form["json_schema"]["schema"], frozenset(told.split()[-8:]), seed)
        text = json.dumps(output, ensure_ascii=False)
        tokens = list(text)[: body["max_tokens"]]
        self._send(200, _completion(model, tokens, len(text) > len(tokens), len(told), body))

    def _load(self, name: str, path: str) -> None:
        if not self.takes_adapters:
            words = (
                "Call to add_lora method failed: Worker failed with error 'LoRA is not enabled. Use --enable-lora to"
            )
            self._fail(500, "InternalServerError", f"{words} enable LoRA.', please check the stack trace above")
        elif name in self.adapters:
            self._fail(400, "InvalidUserInput", f"The lora adapter '{name}' has already been loaded.")
        elif not (Path(path) / "adapter_config.json").is_file():
            self._fail(404, "NotFoundError", f"Loading lora {name} failed: No adapter found for <path>")
        else:
            self.adapters[name] = path
            self._send(200, f"Success: LoRA adapter '{name}' added successfully.")

    def _unload(self, name: str) -> None:
        if self.adapters.pop(name, None) is None:
            self._fail(404, "NotFoundError", f"The lora adapter '{name}' cannot be found.")
        else:
            self._send(200, f"Success: LoRA adapter '{name}' removed successfully.")

    def _fail(self, status: int, kind: str, words: str) -> None:
        self._send(status, {"error": {"message": words, "type": kind, "param": None, "code": status}})

    def _send(self, status: int, body: Any) -> None:
        content = b"" if body is None else body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(status)
        if not isinstance(body, str | None):
            self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        pass


def _completion(model: str, tokens: list[str], cut: bool, told: int, body: dict[str, Any]) -> dict[str, Any]:
    logprob = math.log(0.9)
    said = [{"token": one, "logprob": logprob, "bytes": list(one.encode()), "top_logprobs": []} for one in tokens]
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": "".join(tokens), "refusal": None, "reasoning": None},
        "logprobs": {"content": said} if body.get("logprobs") else None,
        "finish_reason": "length" if cut else "stop",
        "stop_reason": None,
    }
    usage = {"prompt_tokens": told, "completion_tokens": len(tokens), "total_tokens": told + len(tokens)}
    return {"id": "chatcmpl-1", "object": "chat.completion", "model": model, "choices": [choice], "usage": usage}


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Callers come and go."""


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("--base", required=True)
    parser.add_argument("--enable-lora", action="store_true")
    parser.add_argument("--runtime-updating", action="store_true")
    parser.add_argument("--seconds", type=float, default=0.01)
    options = parser.parse_args()
    Handler.base, Handler.adapters, Handler.seconds = options.base, {}, options.seconds
    Handler.takes_adapters, Handler.changes_them = options.enable_lora, options.runtime_updating
    Server(("127.0.0.1", options.port), Handler).serve_forever()


if __name__ == "__main__":
    main()
