"""The activities as workflows see them: a name, what goes in, what comes out.

Workflows call these; the worker registers implementations of the same names (`workers.registration`). So no
workflow module ever imports an adapter.
"""

from decimal import Decimal

from temporalio import activity

from apprentice.messages import (
    Alert,
    BatchOutcome,
    BatchProgress,
    BatchQuestion,
    BatchRequest,
    CompareCall,
    DatasetRef,
    FeedbackCall,
    KnownInputs,
    Labelled,
    LocalCall,
    Opinion,
    OpinionCall,
    Reconcile,
    RemoteCall,
    Reply,
    SpentQuery,
    Standing,
    TrainingJob,
    TrainingRequest,
    Validation,
    ValidationRequest,
    VersionStatus,
)
from apprentice.settings import TaskSettings

# At one remote call. Waiting for its turn under a rate limit is none: `workflows.policies` gives that time of its own.
ATTEMPTS = 6

Spent = dict[str, dict[str, Decimal]]
"""What was spent, by task and by day (ISO)."""


@activity.defn
async def ask_remote(call: RemoteCall) -> Reply:
    """Ask the remote model once, journaled: intent before, answer after. A retry reads the journal first."""
    raise NotImplementedError


@activity.defn
async def second_opinion(call: OpinionCall) -> Opinion:
    """Put an answered request to another remote model, journaled, and store how far the two agree."""
    raise NotImplementedError


@activity.defn
async def ask_local(call: LocalCall) -> Reply:
    """Ask the local model. If the answer is final it is remembered for the request id."""
    raise NotImplementedError


@activity.defn
async def compare(call: CompareCall) -> float:
    """Score a local against a remote answer, 0..1, and store the comparison."""
    raise NotImplementedError


@activity.defn
async def register_settings(settings: TaskSettings) -> Standing:
    """Store the settings under their digest, so that activities can look them up; what the store has of the task."""
    raise NotImplementedError


@activity.defn
async def spent(query: SpentQuery) -> Spent:
    """What the journal says was paid: settled costs, and the upper bounds of calls in doubt."""
    raise NotImplementedError


@activity.defn
async def reconcile(task: str, order: Reconcile) -> None:
    """Write down what a call of unknown outcome has cost after all.

    Non-retryable errors: NoSuchCall, OutcomeKnown.
    """
    raise NotImplementedError


@activity.defn
async def record_feedback(call: FeedbackCall) -> Labelled:
    """Store labels, each in place of the one before; how the answers compare, and what all labels add up to."""
    raise NotImplementedError


@activity.defn
async def keep_questions(questions: list[BatchQuestion]) -> None:
    """Store questions until their batch is sent."""
    raise NotImplementedError


@activity.defn
async def known_inputs(query: KnownInputs) -> list[str]:
    """Which of these inputs need not be asked any more: their hashes."""
    raise NotImplementedError


@activity.defn
async def submit_batch(request: BatchRequest) -> str:
    """Send what was collected, once, whatever happens; the provider's name of it. Empty: there was nothing to send.

    Errors: as `ask_remote`. Those that may be tried again are.
    """
    raise NotImplementedError


@activity.defn
async def look_batch(request: BatchRequest, id: str) -> BatchProgress:
    """How far the provider is with it."""
    raise NotImplementedError


@activity.defn
async def cancel_batch(request: BatchRequest, id: str) -> None:
    """Ask the provider to end it."""
    raise NotImplementedError


@activity.defn
async def collect_batch(request: BatchRequest, id: str) -> BatchOutcome:
    """Write down what became of each question; all together.

    Without `id` nothing can be fetched: what nobody knows of is in doubt.
    """
    raise NotImplementedError


@activity.defn
async def clear_batch(task: str, number: int) -> None:
    """Forget the questions of a batch whose outcome is known to the task."""
    raise NotImplementedError


@activity.defn
async def snapshot_dataset(task: str, schema_version: int, settings_digest: str | None = None) -> DatasetRef:
    """Freeze the data set as it is now, with what the settings leave out left out."""
    raise NotImplementedError


@activity.defn
async def train(request: TrainingRequest) -> TrainingJob:
    """Start or adopt the training job of this version and wait for its end, heartbeating.

    A job that failed raises a non-retryable `TrainingFailed`; the job that is returned has succeeded.
    """
    raise NotImplementedError


@activity.defn
async def validate(request: ValidationRequest) -> Validation:
    """Score candidate and incumbent on the hold-out set."""
    raise NotImplementedError


@activity.defn
async def record_version(task: str, settings_digest: str, version: VersionStatus) -> None:
    """Store what became of a version; a promoted one is loaded and warmed before this returns."""
    raise NotImplementedError


@activity.defn
async def deliver_alert(settings_digest: str, alert: Alert) -> bool:
    """POST the alert to the configured webhook. False when none is configured."""
    raise NotImplementedError
