"""Second opinions: some remote answers are put to another remote model too, to see how far teachers agree.

A local model cannot be expected to agree with its teacher more than a second teacher does. Pure.
"""

from apprentice.confidence.interval import wilson
from apprentice.messages import Interval, RequestOutcome, Source
from apprentice.settings import RemoteSettings, TaskSettings
from apprentice.state import LifecycleState

SUFFIX = "#second"
LONGEST_ID = 200


def possible(settings: TaskSettings) -> bool:
    """Whether any are asked for, and there is somebody to ask."""
    return settings.remote.second_opinions > 0 and bool(settings.remote.additional_providers)


def call_id(request_id: str) -> str | None:
    """The id of the opinion's own call; None where the journal has no room for it."""
    own = f"{request_id}{SUFFIX}"
    return own if len(own) <= LONGEST_ID else None


def wanted(settings: TaskSettings, state: LifecycleState, outcome: RequestOutcome, coin: float) -> bool:
    """Whether this answer, freshly paid for, is put to another model too. `coin` is uniform in [0, 1)."""
    remote = outcome.remote
    fresh = remote is not None and remote.source is Source.REMOTE and not outcome.replayed and not outcome.copied
    return fresh and not state.coaching_paused and possible(settings) and coin < settings.remote.second_opinions


def agreement(state: LifecycleState) -> Interval | None:
    """How far the teachers agree; None before the first opinion."""
    if not state.opinions:
        return None
    mean = min(1.0, state.opinions_agreed / state.opinions)
    low, high = wilson(mean, state.opinions)
    return Interval(mean=mean, low=low, high=high, n=state.opinions)


def teachers(remote: RemoteSettings) -> set[tuple[str, str]]:
    """Whose opinions they are: of other models, those so far say nothing."""
    return {(provider.provider, provider.model) for provider in remote.providers}
