"""Three worlds that one story is told in: who teaches, who learns, how the learner breaks down and comes back."""

import json
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

from tests.fakes.provider.process import FakeProvider
from tests.servers.llama_cpp import LlamaServer
from tests.servers.ollama import OllamaServer

CATEGORIES = {"invoice": "billing", "parcel": "shipping", "password": "account"}
# A model of random weights agrees with its teacher where there is no choice. What it writes beside is not compared.
NO_CHOICE = {"category": ["billing"], "urgent": "bool"}
PRICE = {"input_per_million": "3", "output_per_million": "15"}


class World(Protocol):
    """A teacher and a learner. `in_process`: the learner lives in the worker, and is missed when a new one starts."""

    in_process: bool

    def settings(self) -> dict[str, Any]:
        """What is this world's own of a task's settings."""
        ...

    def outage(self) -> AbstractAsyncContextManager[None]:
        """The learner does not answer while the block lasts."""
        ...

    def billed(self) -> int | None:
        """Calls that the teacher has billed; None if it keeps no bill."""
        ...


def tickets(count: int, first: int = 0) -> list[dict[str, Any]]:
    """Inputs that are all different, and easy to tell apart."""
    words = list(CATEGORIES)
    return [{"text": f"{words[n % 3]} trouble, number {n}"} for n in range(first, first + count)]


class RecordedAndEmbedded:
    """A teacher in a file, a student in the worker itself."""

    in_process = True

    def __init__(self, folder: Path) -> None:
        self._models = folder / "models"
        self._traffic = folder / "traffic.jsonl"
        rows = [{"input": one, "output": {"category": CATEGORIES[one["text"].split()[0]]}} for one in tickets(5_000)]
        self._traffic.write_text("\n".join(map(json.dumps, rows)))

    def settings(self) -> dict[str, Any]:
        remote = {"provider": "recorded", "model": "claude-sonnet-4-5", "price": PRICE, "traffic": str(self._traffic)}
        return {
            "output_schema": {"category": sorted(CATEGORIES.values())},
            "remote": remote | {"simulation": {"latency_seconds": 0}},
            "local": {"model_dir": str(self._models)},
        }

    @asynccontextmanager
    async def outage(self) -> AsyncIterator[None]:
        away = self._models.with_name("away")
        self._models.rename(away)
        yield
        away.rename(self._models)

    def billed(self) -> int | None:
        return None


class AtTheFake:
    """A teacher at the fake provider; the learner is a server's."""

    in_process = False

    def __init__(self, folder: Path, fake: FakeProvider, provider: str) -> None:
        self._models = folder / "models"
        self._fake = fake
        self._provider = provider
        self._before = len(fake.bill())

    def settings(self) -> dict[str, Any]:
        return {
            "output_schema": NO_CHOICE,
            "evaluator": "structured_match",
            "match_fields": ["category"],
            "remote": {
                "provider": self._provider,
                "model": "teacher",
                "price": PRICE,
                "base_url": self._fake.url(self._provider),
                "api_key_env": "FAKE_KEY",
            },
            "local": {
                "model_dir": str(self._models),
                "fine_tune_backend": "few_shot",
                "max_output_tokens": 128,
                "timeout_seconds": 20,
                "cost_per_hour": "1.20",
                "validation_examples": 20,
                "few_shot_examples": 2,
            },
        }

    def billed(self) -> int | None:
        return sum(1 for call in self._fake.bill()[self._before :] if call.cost)


class AnthropicAndOllama(AtTheFake):
    """A fake Anthropic, a real Ollama."""

    def __init__(self, folder: Path, fake: FakeProvider, server: OllamaServer, base_model: str) -> None:
        super().__init__(folder, fake, "anthropic")
        self._server = server
        self._base_model = base_model

    def settings(self) -> dict[str, Any]:
        whole = super().settings()
        ours = {"backend": "ollama", "base_model": self._base_model, "base_url": self._server.url}
        return whole | {"local": whole["local"] | ours}

    @asynccontextmanager
    async def outage(self) -> AsyncIterator[None]:
        self._server.kill()
        yield
        self._server.start()


class OpenAIAndLlamaCpp(AtTheFake):
    """A fake OpenAI, a real llama-server."""

    def __init__(self, folder: Path, fake: FakeProvider, server: LlamaServer) -> None:
        super().__init__(folder, fake, "openai")
        self._server = server

    def settings(self) -> dict[str, Any]:
        whole = super().settings()
        ours = {"backend": "llama_cpp", "base_model": "tiny", "base_url": self._server.url}
        return whole | {"local": whole["local"] | ours}

    @asynccontextmanager
    async def outage(self) -> AsyncIterator[None]:
        self._server.kill()
        yield
        self._server.start()
