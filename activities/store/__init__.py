"""Examples, journal of paid calls, comparisons, settings and versions, in SQL."""

from activities.store.batches import Question, QuestionState
from activities.store.errors import NoSuchCall, OutcomeKnown, RequestIdReused, SettingsUnknown, StoreError
from activities.store.examples import Example
from activities.store.records import CallState, DaySpend, Intent, Served, Settled, Standing, Unknown, UnknownCall
from activities.store.store import Store

__all__ = [
    "CallState",
    "DaySpend",
    "Example",
    "Intent",
    "NoSuchCall",
    "OutcomeKnown",
    "Question",
    "QuestionState",
    "RequestIdReused",
    "Served",
    "SettingsUnknown",
    "Settled",
    "Standing",
    "Store",
    "StoreError",
    "Unknown",
    "UnknownCall",
]
