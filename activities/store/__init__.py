"""Examples, journal of paid calls, comparisons, settings and versions, in SQL."""

from activities.store.errors import RequestIdReused, SettingsUnknown, StoreError
from activities.store.examples import Example
from activities.store.records import CallState, Intent, Served, Settled, Standing, Unknown
from activities.store.store import Store

__all__ = [
    "CallState",
    "Example",
    "Intent",
    "RequestIdReused",
    "Served",
    "SettingsUnknown",
    "Settled",
    "Standing",
    "Store",
    "StoreError",
    "Unknown",
]
