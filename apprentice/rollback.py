"""Rolling back: which versions can serve again, and what becomes of the one that is left."""

from datetime import datetime

from apprentice.messages import RolledBack, VersionStatus
from apprentice.state import LifecycleState

EXAMPLES = 100
"""Of the newest hold-out examples at most: they are the smoke test, and an operator waits for it."""


class NoSuchVersion(Exception):
    """An order for a version that cannot serve; the message says why, and what can be ordered."""


def target(state: LifecycleState, to: int | None) -> int:
    """The version that an order means: `to`, or the one that served before. Raises NoSuchVersion."""
    serving = state.version
    if serving is None:
        raise NoSuchVersion("no version has been promoted yet: there is nothing to roll back")
    if to == serving:
        return serving
    known = sorted(one.version for one in state.versions if _can_serve(one, state) and one.version != serving)
    others = f"there is {', '.join(map(str, known))}" if known else "there is no other"
    if to is None:
        before = _before(state, serving)
        if before is None:
            hint = f"; name one of these with --to: {', '.join(map(str, known))}" if known else ""
            raise NoSuchVersion(f"no version served before version {serving}{hint}")
        return before
    if to not in known:
        raise NoSuchVersion(f"version {to} never served this task with its schema; {others}")
    return to


def switch(state: LifecycleState, done: RolledBack, now: datetime) -> None:
    """Let the version serve, and reject the one that was left: only an order brings it back."""
    validation = done.validation
    measured = "" if validation.mean is None else f": hold-out agreement {validation.mean:.3f}"
    how = {
        done.version: ("promoted", f"rolled back to from version {done.left}{measured}"),
        done.left: ("rejected", f"an operator rolled back to version {done.version}"),
    }
    state.versions = [
        one.model_copy(update={"state": how[one.version][0], "reason": how[one.version][1], "at": now, "served": True})
        if one.version in how
        else one
        for one in state.versions
    ]
    state.version = done.version
    # Until the comparisons speak: everything is checked and nothing is sure enough.
    state.rate = state.defer_below = 1.0


def _before(state: LifecycleState, serving: int) -> int | None:
    """The last one that served of the versions before; those that were rolled back from do not count."""
    earlier = [
        one for one in state.versions if _can_serve(one, state) and one.state == "retired" and one.version < serving
    ]
    return max(earlier, key=lambda one: one.at).version if earlier else None


def _can_serve(one: VersionStatus, state: LifecycleState) -> bool:
    """Whether it was promoted once, for the schema of today."""
    return one.version > state.outdated and (one.served or one.state in ("promoted", "retired"))
