"""What the store remembers of a task's requests, in the order they came."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

AHEAD = 5
"""Requests in flight while a version is replaced come in any order: the one of most of the next few has taken over."""


@dataclass(frozen=True, slots=True)
class Logged:
    """One request that was answered.

    `local` says who answered. `chance`: how probable it was that local and remote answer are compared; 0 where that
    was ruled out (no money for it, coaching paused), None where nobody noted it. `score` is of that comparison, None
    without one. `confidence` and `version` are of the local answer, also of one that was not served; None where there
    was none. `cost` is what the remote call cost, None where there was none; a copied answer costs 0. `example`: the
    remote answer became an example.
    """

    at: datetime
    local: bool
    chance: float | None
    score: float | None = None
    confidence: float | None = None
    version: int | None = None
    cost: Decimal | None = None
    copied: bool = False
    example: bool = False


@dataclass(frozen=True)
class Log:
    """A task's requests, oldest first. `examples` were there before; `holdouts` is by version: (number, mean score)."""

    requests: Sequence[Logged]
    examples: int = 0
    holdouts: dict[int, tuple[int, float]] = field(default_factory=dict)

    def serving(self) -> list[int | None]:
        """The version that could answer at each request; None before the first."""
        known = [(at, one.version) for at, one in enumerate(self.requests) if one.version is not None]
        serving: list[int | None] = []
        current: int | None = None
        position = 0
        for at in range(len(self.requests)):
            if position < len(known) and known[position][0] == at:
                ahead = [version for _, version in known[position : position + AHEAD]]
                current = Counter(ahead).most_common(1)[0][0] if current is not None else known[position][1]
                position += 1
            serving.append(current)
        return serving
