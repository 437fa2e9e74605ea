"""When the next fine-tune is due, and its beginning."""

from datetime import datetime, timedelta
from math import ceil

from apprentice import repeating
from apprentice.messages import FineTuneRequest
from apprentice.promotion import LEAST_HOLDOUT
from apprentice.settings import TaskSettings
from apprentice.state import LifecycleState

EVIDENCE = 800  # newest hold-out comparisons, of about 120 bytes, that a new version's proofs begin with
GRACE = timedelta(hours=1)  # for everything around the training job itself: snapshot, validation, a worker's restart

# Under an allowance: fewer teach nothing, or not enough to be worth a fine-tune.
LEAST_EXAMPLES = 2
LEAST_BATCH = 10
LAST_SHARE = 0.05


def new_examples(state: LifecycleState) -> int:
    """Examples that no fine-tune has been started with."""
    return state.examples - state.trained_examples


def may_train(state: LifecycleState) -> bool:
    """Whether a fine-tune could be started at all: none is running, coaching goes on, there is something new.

    Where one failed and no version answers, also another answer to what was asked before is a reason to try again.
    """
    again = state.version is None and state.repeated > state.repeated_taught
    return state.training is None and not state.coaching_paused and (new_examples(state) > 0 or again)


def batch(state: LifecycleState, settings: TaskSettings) -> int:
    """How many new examples start a fine-tune.

    A fixed number alone would make the total cost of all fine-tunes quadratic in the examples; growing with the
    last training set makes their sizes a geometric series.
    """
    local, calls = settings.local, settings.allowance.remote_calls
    least = local.fine_tune_batch_size
    if calls is not None:  # a small allowance is spent before a large batch is full
        least = min(least, max(LEAST_BATCH, calls // 10))
    return max(least, ceil(local.fine_tune_growth * state.trained_examples))


def spent(state: LifecycleState, calls: int) -> bool:
    """Whether an allowance of so many calls is used up."""
    return state.allowance is not None and state.allowance.taken >= calls


def judgeable(state: LifecycleState, first: int) -> bool:
    """Whether a first version can be judged: by its hold-out, or, as `first` answers were to inputs that had been
    answered before, by what comes."""
    taught_by = state.examples - state.holdout
    return state.holdout >= LEAST_HOLDOUT or (state.repeated >= first and taught_by >= LEAST_EXAMPLES)


def why_train(state: LifecycleState, settings: TaskSettings, now: datetime) -> str | None:
    """Why a fine-tune is due now; None if it is not."""
    if not may_train(state):
        return None
    new = new_examples(state)
    if state.retrain_reason:
        return state.retrain_reason
    first, calls = settings.confidence_thresholds.phase1_to_phase2, settings.allowance.remote_calls
    if calls is not None:
        first = min(first, max(calls, LEAST_EXAMPLES))
        if spent(state, calls) and new >= max(LEAST_EXAMPLES, LAST_SHARE * state.trained_examples):
            return f"no remote call is left of the allowance of {calls}"
    if state.trained_at is None or (state.version is None and repeating.answers_taught(state) < first):
        enough = repeating.answers(state) >= first and (judgeable(state, first) or calls is not None)
        return f"the first {state.examples} examples" if enough else None
    new_ones = f"{new} new example{'' if new == 1 else 's'}"
    if new >= batch(state, settings):
        return new_ones
    if _dried_up(state, settings) and (new >= LEAST_EXAMPLES or state.version is None):
        return f"{new_ones}, and no other in the last {state.dry} answers"
    every = settings.local.retrain_every
    if every and now >= state.trained_at + every:
        return f"{new_ones} since {state.trained_at:%Y-%m-%d %H:%M}"
    return None


def begin(state: LifecycleState, settings: TaskSettings, digest: str, reason: str, now: datetime) -> FineTuneRequest:
    """Count and time a fine-tune that starts now; `digest` is of the settings."""
    insist = settings.allowance.remote_calls is not None or _hold_out_tells_little(state, settings)
    state.fine_tunes += 1
    state.retrain_reason, state.fresh_taught = None, state.fresh
    state.repeated_taught, state.dry = state.repeated, 0
    state.training, state.trained_at, state.trained_examples = state.fine_tunes, now, state.examples
    return FineTuneRequest(
        task=settings.name,
        number=state.fine_tunes,
        settings_digest=digest,
        schema_version=settings.schema_version,
        incumbent=state.version,
        promotion_threshold=settings.confidence_thresholds.emergency_threshold,
        window_size=max(settings.sampling.window_size, EVIDENCE),
        training_timeout=settings.local.training_timeout,
        reason=reason,
        insist=insist,
    )


def _hold_out_tells_little(state: LifecycleState, settings: TaskSettings) -> bool:
    """Whether a version is to be tried though its hold-out does not speak for it: it is asked what it was taught, and
    what it serves has to be proven by that. Where another answers, which has proofs to lose, only if nothing new comes.
    """
    return repeating.repeats(state) and (state.version is None or _dried_up(state, settings))


def _dried_up(state: LifecycleState, settings: TaskSettings) -> bool:
    """Whether a batch of answers has brought no new example."""
    return state.dry >= batch(state, settings)


def overdue(state: LifecycleState, settings: TaskSettings, now: datetime) -> bool:
    """Whether the running fine-tune must be given up: it was terminated, say, and will never report."""
    if state.training is None or state.trained_at is None:
        return False
    return now >= state.trained_at + settings.local.training_timeout + GRACE


def next_due(state: LifecycleState, settings: TaskSettings) -> datetime | None:
    """When a fine-tune becomes due, or overdue, by the clock alone; None if it never does."""
    if state.training is not None and state.trained_at is not None:
        return state.trained_at + settings.local.training_timeout + GRACE
    every = settings.local.retrain_every
    if every and state.trained_at and may_train(state):
        return state.trained_at + every
    return None
