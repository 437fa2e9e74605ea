"""What the lifecycle learns from, and what it asks the shell to do."""

from datetime import datetime
from enum import StrEnum
from typing import Literal

from apprentice.messages.base import Message
from apprentice.messages.batches import BatchOutcome, BatchQuestion, BatchRequest
from apprentice.messages.calls import Opinion, OpinionCall
from apprentice.messages.feedback import Gold
from apprentice.messages.fine_tuning import FineTuneOutcome, FineTuneRequest, RolledBack
from apprentice.messages.requests import RequestOutcome

Outcome = RequestOutcome | FineTuneOutcome | Opinion | BatchOutcome | RolledBack | Gold


class AlertKind(StrEnum):
    QUALITY = "quality"
    BUDGET = "budget"
    TRAINING = "training"
    PROVIDER = "provider"
    LOCAL = "local"


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


class AskOpinion(Message):
    """Its money is set aside; nobody waits for it."""

    type: Literal["ask_opinion"] = "ask_opinion"
    call: OpinionCall


class Enqueue(Message):
    """Put a question to those that are collected for a batch."""

    type: Literal["enqueue"] = "enqueue"
    question: BatchQuestion


class StartBatch(Message):
    """Send what was collected."""

    type: Literal["start_batch"] = "start_batch"
    request: BatchRequest


Action = StartFineTune | RaiseAlert | AskOpinion | Enqueue | StartBatch
