"""What operators see."""

from datetime import datetime
from decimal import Decimal
from typing import Literal

from apprentice.messages.actions import Alert
from apprentice.messages.base import Message, Money, Phase, Score
from apprentice.messages.batches import BatchStatus
from apprentice.messages.budget import CapStatus, Lease


class Interval(Message):
    """An estimate with its confidence interval; `n` is the number of comparisons behind it."""

    mean: Score
    low: Score
    high: Score
    n: int


class Promise(Message):
    """What is promised of quality, how far it is proven, and what would prove more.

    `target`, `confidence` and `scope` are the settings'. Answers at least `threshold` sure may be served locally:
    `share` of all requests, and what the promise is about then agrees with the remote model at `agreement`; None
    while nothing is proven. After about `needed` more comparisons as those so far, `next_share` could be served
    locally; None where nothing more is in sight.
    """

    target: Score
    confidence: Score
    scope: Literal["local", "served"]
    threshold: Score | None = None
    share: Score = 0.0
    agreement: Score | None = None
    next_share: Score | None = None
    next_agreement: Score | None = None
    needed: int | None = None


class HistoryPoint(Message):
    """One point of the task's story. Counters are totals since the task began."""

    at: datetime
    requests: int
    phase: Phase
    correlation: Score | None
    low: Score | None
    high: Score | None
    sampling_rate: float
    local: int
    spend: Money
    all_remote: Money


class DaySpend(Message):
    """One day of the ledger, in the budget's time zone. `all_remote` is what the remote model alone would have cost.

    `local_cost` is what the local model's server cost while it answered: no part of `spend`, and no cap counts it.
    """

    day: str
    requests: int = 0
    local: int = 0
    spend: Money = Decimal(0)
    all_remote: Money = Decimal(0)
    local_cost: Money = Decimal(0)

    @property
    def savings(self) -> Decimal:
        """As `TaskStatus.savings`."""
        return self.all_remote - self.spend - self.local_cost


class Unknown(Message):
    """Calls in doubt: they count as spent at their upper bound until they are reconciled."""

    calls: int = 0
    upper_bound: Money = Decimal(0)


class Troubled(Message):
    """A remote model that cannot answer, since when, and why: `error` is the name of a `RemoteError`.

    `over`: it answered again at that time. `quiet`: operators were told of the same lately, and are not again.
    """

    provider: str
    model: str
    error: str
    message: str
    since: datetime
    over: datetime | None = None
    quiet: bool = False


class Outage(Message):
    """The local model does not answer since then; `error` names why."""

    since: datetime
    error: str


class VersionStatus(Message):
    """One model version: how it did on the hold-out set and what became of it.

    `prompt_version` is of the prompt that it was trained under; None if nobody knows.
    `at` is when it became what it is (of a retired one: when it was promoted). `served`: it was promoted once, whatever
    it is now. `left_out` of the examples were in neither part: see `DatasetRef`.
    """

    version: int
    state: Literal["promoted", "retired", "rejected", "failed"]
    reason: str
    at: datetime
    train: int
    holdout: int
    holdout_mean: Score | None = None
    prompt_version: str | None = None
    served: bool = False
    left_out: int = 0


class GoldStatus(Message):
    """How right the models are, by labels of requests that were drawn at random; None where there are none.

    Intervals are 95% Wilson intervals of the mean score against the label, for a number of labels that the audit
    fixed: they hold when all that was `drawn` is `labelled`. `teacher`: of the teacher's answers. `local_beside`: of
    the local model's where the teacher answered too, whichever was served; `local_served`: of those that callers got
    without it; of all versions. `local_nearer`: of the requests where the two differ, the share in which the local
    answer is nearer to the label. `told` labels were chosen by people, who label what they find wrong: they enter none
    of these; `told_right` is the mean score of what was served there.
    """

    drawn: int = 0
    labelled: int = 0
    teacher: Interval | None = None
    local_beside: Interval | None = None
    local_served: Interval | None = None
    local_nearer: Interval | None = None
    told: int = 0
    told_right: Score | None = None


class TeacherError(Message):
    """How often a teacher is wrong, from nothing but how far two of them agree. An estimate on assumptions, no truth.

    `at_least`: where both are right they agree, so together they are wrong at least as often as they disagree; the mean
    of the two is at least half of that, at the most agreement that the interval allows. `if_independent`: if both are
    wrong equally often, independently, and never agree when wrong. Teachers that learnt from the same texts make the
    same errors, and then it is too low.
    """

    at_least: Score
    if_independent: Interval


class AllowanceStatus(Message):
    """An allowance of remote calls: `taken` never passes `calls`; at `resets` it begins anew (None: never).

    Answers of the local model that are less sure than `defer_below` go to the remote one; None while there is no local
    model.
    """

    calls: int
    taken: int
    resets: datetime | None = None
    defer_below: Score | None = None


class TaskStatus(Message):
    """All there is to know about a task at one moment. `explanation` says why it is where it is, in a sentence.

    `troubled` are the remote models that cannot answer now; `teachers_agree` is how far two of them agree, where both
    were asked, and `teacher_error` what that says of their errors. `correlation` is agreement with the teacher; how
    right both are is in `gold`.
    """

    task: str
    phase: Phase
    explanation: str
    at: datetime
    requests: int
    local: int
    deferred: int
    degraded: int
    failed: int
    examples: int
    holdout: int
    correlation: Interval | None
    promise: Promise | None = None
    trend: float | None
    sampling_rate: float
    version: int | None
    training: int | None
    forced_remote: bool
    forced_until: datetime | None
    coaching_paused: bool
    currency: str
    spend: Money
    all_remote: Money
    caps: list[CapStatus]
    days: list[DaySpend]
    versions: list[VersionStatus]
    alerts: list[Alert]
    schema_version: int = 1
    copied: int = 0
    unknown: Unknown = Unknown()
    frozen: bool = False
    lease: Lease | None = None
    troubled: list[Troubled] = []
    teachers_agree: Interval | None = None
    teacher_error: TeacherError | None = None
    gold: GoldStatus | None = None
    batch: BatchStatus = BatchStatus()
    local_cost: Money = Decimal(0)
    outage: Outage | None = None
    allowance: AllowanceStatus | None = None

    @property
    def local_share(self) -> float:
        """Share of all requests that the local model served, in [0, 1]."""
        return self.local / self.requests if self.requests else 0.0

    @property
    def savings(self) -> Decimal:
        """What was not spent, on providers and on the local model's server, compared with asking the remote model every
        time; negative is a loss."""
        return self.all_remote - self.spend - self.local_cost
