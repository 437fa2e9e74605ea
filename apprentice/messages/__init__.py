"""What crosses a boundary: requests, results, answers, outcomes, orders, status.

Every message is a frozen pydantic model. Money is `Decimal` in the configured currency, time is an aware UTC
`datetime`, scores, confidences and propensities are floats in [0, 1]. There is no second class for any of these
things anywhere in the project: the workflows, the activities, the client and the command line all speak these.
"""

from apprentice.messages.actions import Action, Alert, AlertKind, Outcome, RaiseAlert, StartFineTune
from apprentice.messages.base import Message, Money, Period, Phase, Propensity, Score, Source, Split
from apprentice.messages.budget import BudgetStatus, CapStatus, Draw, Grant, Lease, Recall
from apprentice.messages.calls import CompareCall, LocalCall, RemoteCall, Reply, SpentQuery, Standing
from apprentice.messages.fine_tuning import (
    DatasetRef,
    FineTuneOutcome,
    FineTuneRequest,
    TrainingJob,
    TrainingRequest,
    TrainingStatus,
    Validation,
    ValidationRequest,
)
from apprentice.messages.orders import (
    ApplySettings,
    ForceRemote,
    Freeze,
    Order,
    PauseCoaching,
    Reconcile,
    Resume,
    Retire,
    Retrain,
    SetCaps,
)
from apprentice.messages.requests import (
    Answer,
    Comparison,
    RequestOutcome,
    Route,
    RouteReason,
    TaskRequest,
    TaskResult,
    Trace,
    Trouble,
)
from apprentice.messages.status import DaySpend, HistoryPoint, Interval, TaskStatus, Unknown, VersionStatus

__all__ = [
    "Action",
    "Alert",
    "AlertKind",
    "Answer",
    "ApplySettings",
    "BudgetStatus",
    "CapStatus",
    "CompareCall",
    "Comparison",
    "DatasetRef",
    "DaySpend",
    "Draw",
    "FineTuneOutcome",
    "FineTuneRequest",
    "ForceRemote",
    "Freeze",
    "Grant",
    "HistoryPoint",
    "Interval",
    "Lease",
    "LocalCall",
    "Message",
    "Money",
    "Order",
    "Outcome",
    "PauseCoaching",
    "Period",
    "Phase",
    "Propensity",
    "RaiseAlert",
    "Recall",
    "Reconcile",
    "RemoteCall",
    "Reply",
    "RequestOutcome",
    "Resume",
    "Retire",
    "Retrain",
    "Route",
    "RouteReason",
    "Score",
    "SetCaps",
    "Source",
    "SpentQuery",
    "Split",
    "Standing",
    "StartFineTune",
    "TaskRequest",
    "TaskResult",
    "TaskStatus",
    "Trace",
    "TrainingJob",
    "TrainingRequest",
    "TrainingStatus",
    "Trouble",
    "Unknown",
    "Validation",
    "ValidationRequest",
    "VersionStatus",
]
