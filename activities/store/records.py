"""What is said to the journal and what it says."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from apprentice.messages import Answer, Split


class CallState(StrEnum):
    """INTENT: made or being made, outcome unknown. FAILED: cost nothing. REJECTED: paid, but the answer is unusable."""

    INTENT = "intent"
    ANSWERED = "answered"
    FAILED = "failed"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Intent:
    """A paid call about to be made for one admission of the request. `upper_bound` is the most it can cost."""

    task: str
    request_id: str
    input_hash: str
    admission: str
    provider: str
    model: str
    idempotency_key: str
    upper_bound: Decimal


class Served(NamedTuple):
    """The answer that a request got, in which admission, and the split of the example that it made, if it made one."""

    answer: Answer
    degraded: bool
    input_hash: str
    admission: str
    example: Split | None = None


class Standing(NamedTuple):
    """How a call stood before `Journal.intend`.

    `state` is None for a call that is now ours to make. `served`: the request has its answer, nothing was written.
    `charged` is the most that the call may have cost within the same admission: no one has accounted for it yet.
    """

    state: CallState | None
    served: Served | None = None
    error: str | None = None
    charged: Decimal = Decimal(0)


class Settled(NamedTuple):
    """The call's answer (the first that was written) and the split of the example it made in this admission, if any."""

    answer: Answer
    example: Split | None


class Unknown(NamedTuple):
    """Calls in doubt and the most they can have cost together."""

    calls: int
    upper_bound: Decimal
