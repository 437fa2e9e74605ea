"""What crosses a boundary: requests, results, answers, outcomes, orders, status.

Every message is a frozen pydantic model. Money is `Decimal` in the configured currency, time is an aware UTC
`datetime`, scores, confidences and propensities are floats in [0, 1]. There is no second class for any of these
things anywhere in the project: the workflows, the activities, the client and the command line all speak these.
"""

from datetime import datetime, timedelta
from decimal import Decimal
from enum import IntEnum, StrEnum
from typing import Annotated, Any, Literal

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
)

from apprentice.settings import TaskSettings

Score = Annotated[float, Field(ge=0.0, le=1.0)]
Propensity = Annotated[float, Field(gt=0.0, le=1.0)]
Money = Annotated[Decimal, Field(ge=0)]


Period = Literal["daily", "weekly", "monthly"]


class Message(BaseModel):
    """Base of all messages: immutable, unknown fields refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Phase(IntEnum):
    """Where a task stands: who answers it."""

    COLLECTING = 1
    COACHING = 2
    AUTONOMOUS = 3


class Source(StrEnum):
    """Which model gave an answer."""

    LOCAL = "local"
    REMOTE = "remote"


class Split(StrEnum):
    """Which part of the data set an example belongs to, for ever."""

    TRAIN = "train"
    HOLDOUT = "holdout"


# --- one request -----------------------------------------------------------------------------------------------


class TaskRequest(Message):
    """A caller's request. `input` has been checked against the task's `input_schema` by the time a worker sees it."""

    request_id: str = Field(min_length=1, max_length=200)
    task: str
    input: dict[str, Any]


class Answer(Message):
    """One model's answer to one request.

    `version` is the local model's version (None for a remote model); `confidence` is the calibrated probability
    that the answer agrees with the teacher (None where the model gives none); `latency_seconds` is the model's own
    time, without queueing.
    """

    source: Source
    output: dict[str, Any]
    model: str
    version: int | None = None
    confidence: Score | None = None
    cost: Money = Decimal(0)
    input_tokens: int = 0
    output_tokens: int = 0
    latency_seconds: float = 0.0


class RouteReason(StrEnum):
    """Why a request went where it went."""

    COLLECTING = "collecting"
    COACHING = "coaching"
    SPOT_CHECK = "spot_check"
    AUTONOMOUS = "autonomous"
    DEFERRED = "deferred"
    SHARED = "shared"
    FORCED = "forced_remote"
    BUDGET = "budget"
    LOCAL_FAILED = "local_failed"


class Route(Message):
    """Where one request goes. Whenever the remote model is asked, its answer is the one served.

    `propensity` is the probability that the remote model would be asked, given everything known at that time;
    `reserved` is the upper bound of the call's price, already set aside; `degraded` says that the budget kept a
    remote answer away; `defer_below` is the confidence under which the local answer is not served.
    """

    remote: bool
    local: bool
    reason: RouteReason
    propensity: Score = 1.0
    reserved: Money = Decimal(0)
    degraded: bool = False
    version: int | None = None
    defer_below: Score = 0.0

    @property
    def fair(self) -> bool:
        """Whether the remote model was asked, or not, before anyone looked at the request.

        Only then is the comparison, or the example, that comes of it a fair draw from the traffic.
        """
        return self.reason is not RouteReason.DEFERRED

    def chance_of_comparison(self, confidence: float | None) -> float:
        """The probability that a request whose local answer is this sure is compared: an unsure one always is."""
        return 1.0 if (confidence or 0.0) < self.defer_below else self.propensity


class Trace(Message):
    """Where a result came from. The caller's code never has to look at it.

    `replayed`: this request id had been answered before. `copied`: another request with the same input paid for the
    answer, in flight or in the cache.
    """

    served_by: Source
    phase: Phase
    reason: RouteReason
    model: str
    version: int | None = None
    confidence: Score | None = None
    score: Score | None = None
    propensity: Score = 1.0
    cost: Money = Decimal(0)
    replayed: bool = False
    copied: bool = False


class TaskResult(Message):
    """What the caller gets. `degraded`: the budget or an outage kept a remote answer away that the policy wanted."""

    output: dict[str, Any]
    request_id: str
    degraded: bool = False
    trace: Trace


class Comparison(Message):
    """The evaluator's score of a local answer against the remote answer to the same request.

    `propensity` is the probability that the request was compared, given everything known at that time.
    """

    score: Score
    propensity: Propensity = 1.0
    confidence: Score | None = None
    version: int


class RequestOutcome(Message):
    """All that happened to one request; what the lifecycle learns from.

    `remote` is None when the remote model was not asked or failed; `example` names the split when the remote
    answer was stored as a new example. `replayed`: the store already knew the answer, so nothing new happened.
    `copied`: the remote answer was paid for by another request with the same input. `error` is the name of the error
    that the caller got instead of an answer (`route` is None if it was not even admitted); `lost` is what calls without
    an answer have to be counted at, `in_doubt` the part of it of which nobody
    knows whether it was paid.
    """

    request_id: str
    route: Route | None
    remote: Answer | None = None
    local: Answer | None = None
    score: Score | None = None
    example: Split | None = None
    replayed: bool = False
    copied: bool = False
    error: str | None = None
    lost: Money = Decimal(0)
    in_doubt: Money = Decimal(0)


# --- fine-tuning -----------------------------------------------------------------------------------------------


class DatasetRef(Message):
    """A frozen data set, by reference: the task's examples with `id <= last_id` of one schema version."""

    task: str
    schema_version: int
    last_id: int
    train: int
    holdout: int


class FineTuneRequest(Message):
    """Input of `FineTuneWorkflow`. `number` counts the task's fine-tunes and becomes the candidate's version."""

    task: str
    number: int
    settings_digest: str
    schema_version: int
    incumbent: int | None
    promotion_threshold: Score
    window_size: int
    training_timeout: timedelta
    reason: str


class TrainingStatus(StrEnum):
    """A training job's state, the same words for every provider."""

    PENDING = "pending"
    VALIDATING = "validating_files"
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def finished(self) -> bool:
        return self in (TrainingStatus.SUCCEEDED, TrainingStatus.FAILED, TrainingStatus.CANCELLED)


class TrainingRequest(Message):
    """Ask a `TrainingRunner` for one model version. The key (task, version) makes submission idempotent."""

    task: str
    version: int
    settings_digest: str
    dataset: DatasetRef


class TrainingJob(Message):
    """A training job as its runner sees it. `model` names the result: a path or a provider's model id."""

    id: str
    task: str
    version: int
    status: TrainingStatus
    model: str | None = None
    error: str | None = None


class ValidationRequest(Message):
    """Score the candidate, and the incumbent beside it, on the hold-out part of the data set."""

    task: str
    settings_digest: str
    dataset: DatasetRef
    candidate: int
    incumbent: int | None
    window_size: int


class Validation(Message):
    """Hold-out scores. `comparisons` are the candidate's newest, at most `window_size`; none was ever trained on.

    `gain_low`, `gain_high` bound the mean paired difference candidate minus incumbent (95%); None without an
    incumbent.
    """

    holdout: int
    mean: Score | None
    low: Score | None
    high: Score | None
    incumbent_mean: Score | None = None
    gain_low: float | None = None
    gain_high: float | None = None
    comparisons: list[Comparison] = []


class FineTuneOutcome(Message):
    """How a fine-tune ended: what `FineTuneWorkflow` signals to its parent."""

    number: int
    promoted: bool
    reason: str
    train: int = 0
    holdout: int = 0
    validation: Validation | None = None


Outcome = RequestOutcome | FineTuneOutcome

# --- what the lifecycle asks the shell to do -------------------------------------------------------------------


class AlertKind(StrEnum):
    QUALITY = "quality"
    BUDGET = "budget"
    TRAINING = "training"


class Alert(Message):
    """Something an operator should know. `id` is unique for the task, so receivers can drop repeats."""

    id: str
    task: str
    kind: AlertKind
    message: str
    at: datetime


class StartFineTune(Message):
    type: Literal["start_fine_tune"] = "start_fine_tune"
    request: FineTuneRequest


class RaiseAlert(Message):
    type: Literal["raise_alert"] = "raise_alert"
    alert: Alert


Action = StartFineTune | RaiseAlert

# --- money for all tasks together ------------------------------------------------------------------------------


class Lease(Message):
    """What a task may spend of the caps for all tasks on one day: settled + reserved <= limit, until `until`."""

    day: str
    until: AwareDatetime
    limit: Money
    settled: Money = Decimal(0)


class Draw(Message):
    """A task's word to the budget: what it keeps of its leases, and how much more it needs.

    `life` and `number` tell a repeat from news: a task sends its next one after the answer to the last. `kept` are its
    leases with limits it has lowered already; one that is `closed` has nothing in flight and will not be used again.
    `need` is for requests that wait, `want` (at least `need`) also for those to come.
    """

    task: str
    life: str
    number: int
    kept: list[Lease] = []
    closed: list[Lease] = []
    need: Money = Decimal(0)
    want: Money = Decimal(0)
    leaves: bool = False


class Grant(Message):
    """The answer to a `Draw`: the task's lease now. `tight`: only for requests that no local model can answer.

    `dry`: there was less than needed; `resets` is when the full cap begins anew. `frozen`: nothing may be spent at all.
    """

    type: Literal["grant"] = "grant"
    number: int
    lease: Lease
    tight: bool = False
    dry: bool = False
    frozen: bool = False
    resets: AwareDatetime | None = None


class Recall(Message):
    """Ask a task to give back what it does not use (it answers with a `Draw`), or to ask again: things have changed."""

    type: Literal["recall"] = "recall"
    tight: bool = False
    frozen: bool = False


class CapStatus(Message):
    """One cap: settled + reserved <= cap at every moment; `resets` is when the next period begins.

    Of the cap for all tasks, `reserved` is what they were granted and have not reported as spent.
    """

    period: Period
    cap: Money
    settled: Money
    reserved: Money
    resets: datetime


class BudgetStatus(Message):
    """The caps for all tasks, and what each task holds of them today."""

    at: datetime
    currency: str
    timezone: str
    frozen: bool
    caps: list[CapStatus]
    leases: dict[str, Lease]
    waiting: list[str]


# --- operator orders -------------------------------------------------------------------------------------------


class ForceRemote(Message):
    """Send everything to the remote model (within budget) until `until`, or until resumed when it is None."""

    type: Literal["force_remote"] = "force_remote"
    until: AwareDatetime | None = None


class Resume(Message):
    """End a forced remote."""

    type: Literal["resume"] = "resume"


class PauseCoaching(Message):
    """Stop (or, with `paused: false`, start again) spot checks and fine-tunes. Quality is not watched meanwhile."""

    type: Literal["pause_coaching"] = "pause_coaching"
    paused: bool = True


class Retrain(Message):
    """Start a fine-tune now, if none is running."""

    type: Literal["retrain"] = "retrain"


class ApplySettings(Message):
    """Go on with other settings. Other schemas need `new_version`: the task then learns anew, from new examples."""

    type: Literal["apply_settings"] = "apply_settings"
    settings: TaskSettings
    new_version: bool = False


class SetCaps(Message):
    """Other caps, until settings are applied again. Fields that are not set stay as they are; None is no cap."""

    type: Literal["set_caps"] = "set_caps"
    daily: Money | None = None
    weekly: Money | None = None
    monthly: Money | None = None

    @model_serializer(mode="wrap")
    def _as_set(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Only what is set: a field that is None on the other side would lift a cap that nobody spoke of."""
        return {name: value for name, value in dump(self).items() if name in self.model_fields_set | {"type"}}


class Freeze(Message):
    """Make no paid call (or, with `frozen: false`, make them again); what is in flight is finished and paid."""

    type: Literal["freeze"] = "freeze"
    frozen: bool = True


class Reconcile(Message):
    """Settle a call of unknown outcome at what the provider's bill says: 0 for a call that was never made."""

    type: Literal["reconcile"] = "reconcile"
    request_id: str
    cost: Money


class Retire(Message):
    """End the task: finish what has begun, give back what was granted. What it learnt stays in the store."""

    type: Literal["retire"] = "retire"


Order = Annotated[
    ForceRemote | Resume | PauseCoaching | Retrain | ApplySettings | SetCaps | Freeze | Reconcile | Retire,
    Field(discriminator="type"),
]

# --- what an operator sees -------------------------------------------------------------------------------------


class Interval(Message):
    """An estimate with its confidence interval; `n` is the number of comparisons behind it."""

    mean: Score
    low: Score
    high: Score
    n: int


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
    """One day of the ledger, in the budget's time zone. `all_remote` is what the remote model alone would have cost."""

    day: str
    requests: int = 0
    local: int = 0
    spend: Money = Decimal(0)
    all_remote: Money = Decimal(0)


class Unknown(Message):
    """Calls in doubt: they count as spent at their upper bound until they are reconciled."""

    calls: int = 0
    upper_bound: Money = Decimal(0)


class VersionStatus(Message):
    """One model version: how it did on the hold-out set and what became of it."""

    version: int
    state: Literal["promoted", "retired", "rejected", "failed"]
    reason: str
    at: datetime
    train: int
    holdout: int
    holdout_mean: Score | None = None


class TaskStatus(Message):
    """All there is to know about a task at one moment. `explanation` says why it is where it is, in a sentence."""

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

    @property
    def local_share(self) -> float:
        """Share of all requests that the local model served, in [0, 1]."""
        return self.local / self.requests if self.requests else 0.0

    @property
    def savings(self) -> Decimal:
        """What was not spent, compared with asking the remote model every time; negative is a loss."""
        return self.all_remote - self.spend


# --- what activities take and give -----------------------------------------------------------------------------


class SpentQuery(Message):
    """Ask what was spent by calls begun since then, by task and by day of the time zone. `task` None is all tasks."""

    timezone: str
    since: AwareDatetime
    task: str | None = None


class RemoteCall(Message):
    """Input of the activity `ask_remote`. `reserved` is the upper bound that was set aside for this call.

    `fair` is `Route.fair`. `copy_of` names a request with the same input that has just been answered: that answer is
    this request's too, and nothing is asked.

    `admission` is unique for each time a request is admitted: it tells an activity that Temporal runs again (what it
    did the first time has not been accounted for) from a caller who sends a request again (it has).
    """

    request: TaskRequest
    admission: str
    settings_digest: str
    schema_version: int
    reserved: Money
    fair: bool = True
    copy_of: str | None = None


class Standing(Message):
    """What the store knows of a task when a workflow registers its settings.

    A task whose workflow is started anew goes on with its examples, numbers its versions after those it has, and has
    spent what it spent: `spent` is by day, in the budget's time zone, since the current week and month began.
    """

    settings_digest: str
    examples: int = 0
    holdout: int = 0
    last_version: int = 0
    schema_version: int | None = None
    spent: dict[str, Money] = {}


class LocalCall(Message):
    """Input of `ask_local`. The answer is final (`serves`) unless its confidence is below `defer_below`."""

    request: TaskRequest
    admission: str
    settings_digest: str
    version: int
    serves: bool
    defer_below: Score = 0.0
    degraded: bool = False


class Reply(Message):
    """Output of `ask_remote` and `ask_local`.

    `replayed`: the request had been answered in an earlier admission, by `answer`, and nothing was asked or paid now.
    `copied`: another request with the same input was, and paid.
    """

    answer: Answer
    example: Split | None = None
    replayed: bool = False
    copied: bool = False
    degraded: bool = False


class CompareCall(Message):
    """Input of `compare`: score `local` against `remote` and store the comparison. Idempotent by request id."""

    request_id: str
    task: str
    settings_digest: str
    local: Answer
    remote: Answer
    propensity: Propensity
