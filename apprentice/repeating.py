"""Where inputs come again: an answer teaches once, but tells every time.

A task with few different inputs would collect for ever if only new ones counted. Nothing is served without a proof from
what comes, so it may be taught as soon as enough was answered, whatever part of that was new.
"""

from apprentice.messages import RequestOutcome
from apprentice.state import LifecycleState

LEAST_REPEATED, REPEATED = 10, 0.05
"""Of the fair requests that the remote model answered, those whose input had been answered before. In the hold-out and
in rehearsals each input counts once: where more than this share repeats, a popular input that goes wrong would hardly
show there, so a version is proven by what comes. Up to this, all that repeats may be wrong as far as those tell.
"""


def note(state: LifecycleState, outcome: RequestOutcome) -> None:
    """Count a request that was answered, or was not."""
    if outcome.remote is None or outcome.copied:
        return
    new = outcome.example is not None
    state.dry = 0 if new else state.dry + 1
    if outcome.route is not None and outcome.route.fair:
        state.drawn += 1
        state.repeated += not new


def repeats(state: LifecycleState) -> bool:
    """Whether so many inputs come again that the hold-out does not tell how well a version does."""
    return state.repeated >= max(LEAST_REPEATED, REPEATED * state.drawn)


def share(state: LifecycleState) -> float:
    """Of the traffic, what the hold-out leaves out, as it holds each input once."""
    return state.repeated / state.drawn if state.drawn else 0.0


def answers(state: LifecycleState) -> int:
    """Examples, and fair answers to inputs that were examples already."""
    return state.examples + state.repeated


def answers_taught(state: LifecycleState) -> int:
    """Of those, what there was when a fine-tune last began."""
    return state.trained_examples + state.repeated_taught
