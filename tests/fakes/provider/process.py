"""The fake provider as its users see it.

A process of its own, so that it outlives those that call it: what it has billed is the truth that all other books are
held against.
"""

import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from tests.fakes.provider.apis import APIS
from tests.fakes.provider.faults import Fault
from tests.fakes.provider.ledger import Billed

ROOT = Path(__file__).parents[3]


class FakeProvider:
    """All APIs at once; it ends with the block. Prices are for a million tokens.

    `latency` is the mean of an answer, in seconds. `api_key`: any other key is refused; None takes all.
    """

    def __init__(
        self,
        *,
        input_price: str = "3",
        output_price: str = "15",
        cached_price: str = "0.3",
        latency: float = 0.0,
        idempotent: bool = False,
        api_key: str | None = None,
    ) -> None:
        self._command = [sys.executable, "-m", "tests.fakes.provider", "--latency", str(latency)]
        self._command += ["--input-price", input_price, "--output-price", output_price, "--cached-price", cached_price]
        self._command += ["--idempotent"] if idempotent else []
        self._command += ["--api-key", api_key] if api_key is not None else []

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

    def url(self, api: str) -> str:
        """What belongs into `base_url` of the configuration for this provider."""
        return f"{self.root}/{api}{APIS[api].base}"

    def fail(self, kind: Fault, calls: int = 1, api: str = "") -> None:
        """Let the next calls (after those ordered before) fail this way: of one API, or of whichever is asked."""
        self._client.post("/faults", json={"kind": kind, "calls": calls, "api": api}).raise_for_status()

    def heal(self, api: str = "") -> None:
        """Forget the faults that have not happened."""
        self._client.post("/faults", json={"kind": None, "api": api}).raise_for_status()

    def answer(self, output: dict[str, Any] | None) -> None:
        """What every model answers from now on; None: by its rule."""
        self._client.post("/answer", json={"output": output}).raise_for_status()

    def bill(self) -> list[Billed]:
        """Every call so far, in order."""
        rows = self._client.get("/bill").raise_for_status().json()
        return [Billed(**row | {"cost": Decimal(row["cost"])}) for row in rows]
