"""What is said to the journal and what it says."""

from dataclasses import dataclass
from datetime import date, datetime
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
    """A paid call about to be made for one admission of the request. `upper_bound` is the most it can cost.

    Two ways to do without the call, for the same input of the same task: `copy_of` is the id of a request whose remote
    answer may be given to this one too; `cached_since` allows any remote answer of this `schema_version` that was
    paid for at that time or later, the newest first.

    `reason` and `propensity` say why it is made, and how probable that was; None for a call that no request waits for.
    """

    task: str
    request_id: str
    input_hash: str
    admission: str
    provider: str
    model: str
    idempotency_key: str
    upper_bound: Decimal
    schema_version: int | None = None
    copy_of: str | None = None
    cached_since: datetime | None = None
    reason: str | None = None
    propensity: float | None = None


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
    `copied`: the request has just been given another one's answer, at no cost; from now on it is `served`. `key` is the
    idempotency key of a call that was made before: it tells which provider was asked.
    """

    state: CallState | None
    served: Served | None = None
    error: str | None = None
    charged: Decimal = Decimal(0)
    copied: Served | None = None
    key: str | None = None


class Settled(NamedTuple):
    """The call's answer (the first that was written) and the split of the example it made in this admission, if any."""

    answer: Answer
    example: Split | None


class Unknown(NamedTuple):
    """Calls in doubt and the most they can have cost together."""

    calls: int
    upper_bound: Decimal


class UnknownCall(NamedTuple):
    """One call in doubt: made or being made since then, counted at the most it can cost."""

    request_id: str
    provider: str
    model: str
    upper_bound: Decimal
    since: datetime


class DaySpend(NamedTuple):
    """What one task spent on one day: settled costs, and the upper bounds of calls still in doubt."""

    task: str
    day: date
    settled: Decimal
    unknown: Decimal
