"""Examples, journal of paid calls, comparisons, settings and versions, in SQL."""

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
