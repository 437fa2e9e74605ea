"""Examples, journal of paid calls, comparisons, settings and versions, in SQL."""

from activities.store.amendments import ExampleKey
from activities.store.answers import Answers
from activities.store.batches import Question, QuestionState
from activities.store.drawing import Drawn
from activities.store.errors import NoSuchCall, OutcomeKnown, RequestIdReused, SettingsUnknown, StoreError
from activities.store.examples import Example
from activities.store.feedback import Given, Taken
from activities.store.records import CallState, DaySpend, Intent, Served, Settled, Standing, Unknown, UnknownCall
from activities.store.store import Store

__all__ = [
    "Answers",
    "CallState",
    "DaySpend",
    "Drawn",
    "Example",
    "ExampleKey",
    "Given",
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
    "Taken",
    "Unknown",
    "UnknownCall",
]
