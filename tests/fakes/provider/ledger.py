"""The provider's books: what it has billed, and what is to become of the calls to come."""

import threading
import time
from collections import deque
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from tests.fakes.provider.api import Asked, Said
from tests.fakes.provider.faults import UNPAID, Fault


@dataclass(frozen=True)
class Billed:
    """One call as the provider saw it. `cost` is 0 for one that it does not charge; `at` is Unix time."""

    key: str | None
    fate: str
    input_tokens: int
    output_tokens: int
    cost: Decimal
    at: float
    api: str = ""
    model: str = ""


@dataclass(frozen=True)
class Tariff:
    """Prices of a million tokens. A repeated key is free where `idempotent`."""

    input: Decimal
    output: Decimal
    cached: Decimal
    idempotent: bool

    def price(self, said: Said) -> Decimal:
        plain = said.input_tokens - said.cached_tokens
        return (self.input * plain + self.cached * said.cached_tokens + self.output * said.output_tokens) / 1_000_000


@dataclass
class Ledger:
    """The bill, the faults and the answer that were ordered. Safe to use from many threads."""

    tariff: Tariff
    calls: list[Billed] = field(default_factory=list)
    answer: dict[str, Any] | None = None
    # By API; those of "" are for whoever is asked next.
    faults: dict[str, deque[Fault | None]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def order(self, kind: Fault | None, calls: int, api: str) -> None:
        """The fate of the next calls; None forgets all that was ordered (for that API, or for all)."""
        with self.lock:
            if kind is None:
                for one in [api] if api else list(self.faults):
                    self.faults.pop(one, None)
            else:
                fates = [kind, None] if kind == "invalid_once" else [kind]
                self.faults.setdefault(api, deque()).extend(fates * calls)

    def next_fault(self, api: str) -> Fault | None:
        with self.lock:
            queue = self.faults.get(api) or self.faults.get("")
            return queue.popleft() if queue else None

    def bill(self, api: str, asked: Asked, said: Said, fault: Fault | None) -> None:
        """Once for each call that was processed; once for each key, if repeated keys are free."""
        with self.lock:
            known = self.tariff.idempotent and any(call.key == asked.key and call.cost for call in self.calls)
            cost = Decimal(0) if fault in UNPAID or known else self.tariff.price(said)
            tokens = said.input_tokens, said.output_tokens
            self.calls.append(Billed(asked.key, fault or "answered", *tokens, cost, time.time(), api, asked.model))
