"""A real Ollama for tests: built once by Go, started on a port of its own, with its models in a temporary folder.

The version is one that `go install` can build: the module archives of newer ones lack a header of llama.cpp.
"""

import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import httpx

from tests.servers.building import built, say
from workers.dev_server import free_port

VERSION = "0.6.5"
MODULE = f"github.com/ollama/ollama@v{VERSION}"
START_SECONDS = 30.0


class NoOllama(RuntimeError):
    """There is no Ollama, and nothing to build one with; the message says what."""


def find_binary() -> Path:
    """Path of Ollama, built if need be (3 to 4 minutes on two cores, once). Raises NoOllama."""
    return built("ollama", VERSION, _build)


def _build(target: Path) -> Path:
    go = shutil.which("go") or shutil.which("/usr/local/go/bin/go")
    if go is None:
        raise NoOllama(f"these tests need Ollama, and Go (with a C++ compiler) is not installed to build {MODULE}")
    say("ollama", f"building {MODULE} with Go (once; 3 to 4 minutes on two cores)")
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".ollama-") as folder:
        # Its C++ is compiled with cgo, which `go install` switches off where it finds no compiler.
        environment = os.environ | {"GOBIN": folder, "CGO_ENABLED": "1"}
        done = subprocess.run([go, "install", MODULE], env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"Go could not build {MODULE}: " + " / ".join(done.stderr.strip().splitlines()[-3:]))
        return (Path(folder) / "ollama").replace(target)


class OllamaServer:
    """One server. It can be stopped, killed, frozen and started again on the same port, its models kept."""

    def __init__(self, binary: Path) -> None:
        self._binary = binary
        self._folder = Path(tempfile.mkdtemp(prefix="apprentice-ollama-"))
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = self._folder / "log"

    def start(self) -> None:
        """Returns once it answers."""
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self._folder),
            "OLLAMA_HOST": f"127.0.0.1:{self.port}",
            "OLLAMA_MODELS": str(self._folder / "models"),
            "OLLAMA_MAX_LOADED_MODELS": "20",
            "OLLAMA_NUM_PARALLEL": "4",
        }
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [self._binary, "serve"],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until and self._process.poll() is None:
            with suppress(httpx.TransportError):
                if httpx.get(f"{self.url}/api/version", timeout=1.0).is_success:
                    return
            time.sleep(0.05)
        raise RuntimeError("Ollama did not start: " + self.log.read_text(errors="replace")[-2000:])

    @property
    def runs(self) -> bool:
        """Whether it was started and not killed."""
        return self._process is not None

    def kill(self) -> None:
        """kill -9, with the processes that it runs models in."""
        self._signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """It listens, and does nothing more."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on where it was."""
        self._signal(signal.SIGCONT)

    def remove(self) -> None:
        """Kill it, and delete its models."""
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def create(self, name: str, gguf: Path) -> None:
        """What `ollama create` does with a GGUF."""
        content = gguf.read_bytes()
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        httpx.post(f"{self.url}/api/blobs/{digest}", content=content).raise_for_status()
        # One thread: two that wait for each other on a busy machine are a hundred times slower.
        body = {"model": name, "files": {gguf.name: digest}, "parameters": {"num_thread": 1}, "stream": False}
        answer = httpx.post(f"{self.url}/api/create", json=body, timeout=60.0).raise_for_status()
        assert answer.json().get("status") == "success", answer.text

    def _signal(self, number: int) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
