"""One thing that was looked at, and how it is."""

import asyncio
from collections.abc import Awaitable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

# A check is one cheap call. What has not answered by then would not serve requests either.
SECONDS = 15.0


class State(StrEnum):
    """FAILED: it does not work. MISSING: there is no Temporal server; it can be started."""

    OK = "ok"
    FAILED = "failed"
    MISSING = "missing"


@dataclass(frozen=True)
class Finding:
    """`subject` names what was looked at; `words` say how it is and, if it does not work, what to do."""

    subject: str
    state: State
    words: str

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"state": self.state.value}


async def found(
    subject: str,
    check: Awaitable[str],
    *expected: type[Exception],
    state: State = State.FAILED,
    seconds: float = SECONDS,
) -> Finding:
    """What became of a check: its words, or those of an error that is expected of it."""
    try:
        async with asyncio.timeout(seconds):
            return Finding(subject, State.OK, await check)
    except TimeoutError:
        return Finding(subject, state, f"does not answer within {seconds:g} s")
    except expected as error:
        return Finding(subject, state, str(error) or type(error).__name__)
