"""A real llama.cpp server for tests: built once from the source that llama-cpp-python's sdist on PyPI carries.

Only `llama-server` is built, for a CPU, barely optimised: a model of half a megabyte needs no speed.
"""

import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import httpx

from tests.servers.building import built, say
from workers.dev_server import free_port

VERSION = "0.3.36"
SDIST = f"llama-cpp-python=={VERSION}"
OPTIONS = {
    "CMAKE_BUILD_TYPE": "Release",
    "CMAKE_C_FLAGS_RELEASE": "-O2",
    "CMAKE_CXX_FLAGS_RELEASE": "-O1",
    "BUILD_SHARED_LIBS": "OFF",
    # A cached build has to run on the next machine of CI too.
    "GGML_NATIVE": "OFF",
    "GGML_OPENMP": "OFF",
    "GGML_LLAMAFILE": "OFF",
    "LLAMA_BUILD_APP": "OFF",
    "LLAMA_BUILD_EXAMPLES": "OFF",
    "LLAMA_BUILD_TESTS": "OFF",
    "LLAMA_BUILD_UI": "OFF",
    "LLAMA_USE_PREBUILT_UI": "OFF",
    "LLAMA_OPENSSL": "OFF",
}
# One thread a question: two that wait for each other on a busy machine are a hundred times slower.
FLAGS = ("--threads", "1", "--parallel", "4", "--ctx-size", "16384", "--no-warmup")
START_SECONDS = 30.0


class NoLlamaCpp(RuntimeError):
    """There is no llama-server and none could be built; the message says why."""


def find_binary() -> Path:
    """Path of `llama-server`, built if need be (3 to 4 minutes on two cores, once). Raises NoLlamaCpp."""
    return built("llama-server", VERSION, _build)


def _build(target: Path) -> Path:
    if shutil.which("c++") is None:
        raise NoLlamaCpp(f"these tests need llama.cpp, and there is no C++ compiler to build that of {SDIST}")
    say("llama-server", f"building the llama.cpp of {SDIST} (once; 3 to 4 minutes on two cores)")
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".llama-cpp-") as folder:
        here = Path(folder)
        _run("make a virtual environment", sys.executable, "-m", "venv", here / "venv")
        bin = here / "venv" / "bin"
        _run("install cmake", bin / "pip", "install", "--quiet", "cmake", "ninja")
        flags = ("--no-deps", "--no-binary", "llama-cpp-python")
        _run(f"download {SDIST}", bin / "pip", "download", "--quiet", *flags, "--dest", here, SDIST)
        with tarfile.open(next(here.glob("llama_cpp_python-*.tar.gz"))) as archive:
            archive.extractall(here, filter="data")
        source = next(here.glob("llama_cpp_python-*/vendor/llama.cpp"))
        options = [f"-D{name}={value}" for name, value in OPTIONS.items()]
        ninja = f"-DCMAKE_MAKE_PROGRAM={bin / 'ninja'}"
        _run("configure it", bin / "cmake", "-S", source, "-B", here / "build", "-G", "Ninja", ninja, *options)
        jobs = str(os.process_cpu_count() if hasattr(os, "process_cpu_count") else len(os.sched_getaffinity(0)))
        _run("build it", bin / "cmake", "--build", here / "build", "--target", "llama-server", "--parallel", jobs)
        return (here / "build" / "bin" / "llama-server").replace(target)


def _run(what: str, *command: str | Path) -> None:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-3:]
        raise NoLlamaCpp(f"llama.cpp: could not {what}: " + " / ".join(last))


class LlamaServer:
    """One server with one model. It can be killed, frozen and started again on the same port."""

    def __init__(self, binary: Path, model: Path, *flags: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._command = [str(binary), "-m", str(model), "--port", str(self.port), *FLAGS, *flags]
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `stop`
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns once it answers."""
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log, start_new_session=True
        )
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until and self._process.poll() is None:
            with suppress(httpx.TransportError):
                if httpx.get(f"{self.url}/health", timeout=1.0).is_success:
                    return
            time.sleep(0.02)
        self._log.seek(0)
        raise RuntimeError("llama-server did not start: " + self._log.read().decode(errors="replace")[-2000:])

    def kill(self) -> None:
        """kill -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """It listens, and does nothing more."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on where it was."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """Kill it for good."""
        self.kill()
        self._log.close()
