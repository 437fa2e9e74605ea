"""Second opinions: some remote answers are put to another remote model too, to see how far teachers agree.

A local model cannot be expected to agree with its teacher more than a second teacher does. Pure.
"""

from datetime import datetime

from apprentice import prices
from apprentice.accounting import Accounts
from apprentice.alarms import Alarms
from apprentice.confidence.interval import wilson
from apprentice.messages import (
    Action,
    AskOpinion,
    Interval,
    Opinion,
    OpinionCall,
    RequestOutcome,
    Source,
    TaskRequest,
)
from apprentice.settings import RemoteSettings, TaskSettings
from apprentice.state import LifecycleState

SUFFIX = "#second"
DISPUTED_BELOW = 0.5
"""A score under which two teachers say different things rather than the same; any difference under `exact_match`."""
LONGEST_ID = 200


def possible(settings: TaskSettings) -> bool:
    """Whether any are asked for, and there is somebody to ask."""
    return settings.remote.second_opinions > 0 and bool(settings.remote.additional_providers)


def call_id(request_id: str) -> str | None:
    """The id of the opinion's own call; None where the journal has no room for it."""
    own = f"{request_id}{SUFFIX}"
    return own if len(own) <= LONGEST_ID else None


def is_own(request_id: str) -> bool:
    """Whether it is the id of an opinion's call: a request with it would share its money, and its answer."""
    return request_id.endswith(SUFFIX)


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


def names(remote: RemoteSettings) -> set[str]:
    """Of the teachers: provider and model, with a space between."""
    return {f"{provider} {model}" for provider, model in teachers(remote)}


class Opinions:
    """Second opinions of one task: part of its brain, over its accounts."""

    def __init__(self, accounts: Accounts, alarms: Alarms) -> None:
        self._accounts = accounts
        self._alarms = alarms

    def ask(
        self, request: TaskRequest, outcome: RequestOutcome, admission: str, digest: str, coin: float, now: datetime
    ) -> list[Action]:
        """What to ask of another remote model too, with its money set aside. `coin` is uniform in [0, 1)."""
        settings, own = self._accounts.settings, call_id(request.request_id)
        if own is None or outcome.remote is None or not wanted(settings, self._accounts.state, outcome, coin):
            return []
        amount = prices.reservation(settings, request.input)
        if not self._accounts.set_aside(own, amount, now):
            return []
        call = OpinionCall(
            opinion_id=own,
            request=request,
            answer=outcome.remote,
            admission=admission,
            settings_digest=digest,
            reserved=amount,
        )
        return [AskOpinion(call=call)]

    def heard(self, opinion: Opinion, now: datetime) -> list[Action]:
        """Account for one, and learn from it."""
        state = self._accounts.state
        self._accounts.close_opinion(opinion, now)
        if opinion.score is not None:
            state.opinions += 1
            state.opinions_agreed += opinion.score
        answered = (opinion.provider, opinion.model) if opinion.provider and opinion.model else None
        return self._alarms.providers(opinion.troubles, answered, now)

    def forget(self) -> None:
        """Other teachers, or other answers: what was heard says nothing about them."""
        self._accounts.state.opinions, self._accounts.state.opinions_agreed = 0, 0.0
