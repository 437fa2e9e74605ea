"""What the lifecycle learns from, and what it asks the shell to do."""

from datetime import datetime
from enum import StrEnum
from typing import Literal

from apprentice.messages.base import Message
from apprentice.messages.fine_tuning import FineTuneOutcome, FineTuneRequest, RolledBack
from apprentice.messages.requests import RequestOutcome

Outcome = RequestOutcome | FineTuneOutcome | RolledBack


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


Action = StartFineTune | RaiseAlert
