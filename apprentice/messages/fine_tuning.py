"""One fine-tune: its data set, its training job, its validation, its end."""

from datetime import timedelta
from enum import StrEnum

from apprentice.messages.base import Message, Score
from apprentice.messages.requests import Comparison


class DatasetRef(Message):
    """A frozen data set, by reference: the task's examples with `id <= last_id` of one schema version.

    What was said of them later (labels, second opinions) counts up to its number `last_amendment`. `left_out` examples
    are in neither part: what their teacher said is known to be wrong, or, where `leaves_out_disputed`, another teacher
    said otherwise and the example is of the training part. `train` and `holdout` are without them.
    """

    task: str
    schema_version: int
    last_id: int
    train: int
    holdout: int
    last_amendment: int = 0
    leaves_out_disputed: bool = False
    left_out: int = 0


class FineTuneRequest(Message):
    """Input of `FineTuneWorkflow`. `number` counts the task's fine-tunes and becomes the candidate's version.

    `insist`: it is promoted unless the hold-out set proves it worse than the incumbent. So it is under an allowance:
    when no call is left a weak version is better than none, and one that knows more is better than an older one; and
    where inputs come again, so that not the hold-out but what comes proves a version.
    """

    task: str
    number: int
    settings_digest: str
    schema_version: int
    incumbent: int | None
    promotion_threshold: Score
    window_size: int
    training_timeout: timedelta
    reason: str
    insist: bool = False


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
    """A training job as its runner sees it. `model` names the result: a path or a provider's model id.

    `prompt_version` is of the prompt that the task had when it was trained (`apprentice.prompts`).
    """

    id: str
    task: str
    version: int
    status: TrainingStatus
    model: str | None = None
    error: str | None = None
    prompt_version: str | None = None


class ValidationRequest(Message):
    """Score the candidate, and the incumbent beside it, on the hold-out part of the data set.

    `newest`: only on this many of its newest examples; None is all of them.
    """

    task: str
    settings_digest: str
    dataset: DatasetRef
    candidate: int
    incumbent: int | None
    window_size: int
    newest: int | None = None


class Validation(Message):
    """Hold-out scores. `comparisons` are the candidate's newest, at most `window_size`; none was ever trained on.

    Beside an incumbent, on the same examples: `gain_low`, `gain_high` bound the mean difference candidate minus
    incumbent (95%, at every look); `odds` are those that it is above 0, `differ` counts the examples where the two
    scored differently (`apprentice.confidence.paired`). None without an incumbent; a validation from before 0.4 has
    neither odds nor count.

    `rehearsal` is what the training part tells: score and confidence of answers to fair training examples, each by a
    model of the same kind that was trained without it. Empty where the trainer gives none.

    `classes` are those that the candidate was taught, for `apprentice.novelty.knows`; "" where unknown.
    """

    holdout: int
    mean: Score | None
    low: Score | None
    high: Score | None
    incumbent_mean: Score | None = None
    gain_low: float | None = None
    gain_high: float | None = None
    odds: float | None = None
    differ: int | None = None
    comparisons: list[Comparison] = []
    rehearsal: list[tuple[Score, Score]] = []
    classes: str = ""


class FineTuneOutcome(Message):
    """How a fine-tune ended: what `FineTuneWorkflow` signals to its parent."""

    number: int
    promoted: bool
    reason: str
    train: int = 0
    holdout: int = 0
    validation: Validation | None = None
    prompt_version: str | None = None
    left_out: int = 0


class RolledBack(Message):
    """An operator's rollback that can be carried out: `version` answers, and this is how it does on the hold-out set.

    `left` is the version that served when the order was given.
    """

    version: int
    left: int
    validation: Validation
