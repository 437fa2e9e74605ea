"""Another policy over the requests of a log: the brain decides anew, the models answer as they did.

The versions are those that were trained, each from the request on from which it answered. The coins are those of the
log as far as they are known: a request that the log compared with probability 0.1 had a coin below 0.1. So a policy
that is nearly the same compares nearly the same requests. Where the policy compares a request that the log did not,
its evidence is drawn from the version's comparisons with about that confidence (`whatif.evidence`): that only moves
the brain along, and counts in no estimate.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from apprentice.accounting import COST_DIGITS, BudgetExhausted
from apprentice.lifecycle import Lifecycle
from apprentice.messages import (
    Answer,
    FineTuneOutcome,
    Phase,
    RequestOutcome,
    Route,
    RouteReason,
    Source,
    Split,
    Standing,
    TaskRequest,
    Validation,
)
from apprentice.settings import TaskSettings
from apprentice.whatif.evidence import Evidence
from apprentice.whatif.log import Log, Logged

BY_COIN = (RouteReason.SPOT_CHECK, RouteReason.AUTONOMOUS)


@dataclass(frozen=True, slots=True)
class Decision:
    """What the policy does with one request: whether it asks the remote model, and the chance that it would.

    `answered` is False where nobody could answer. `unknown`: it depends on a local answer that the log lacks.
    """

    remote: bool
    chance: float
    phase: Phase
    answered: bool = True
    unknown: bool = False


@dataclass(frozen=True, slots=True)
class Replayed:
    """The decisions in the log's order; of `compared` comparisons that moved the brain `drawn` were not in the log."""

    decisions: Sequence[Decision]
    compared: int
    drawn: int


class Replay:
    """One policy over one log, once. `input` is an example of the task's inputs: it says what a call may cost."""

    def __init__(self, settings: TaskSettings, log: Log, input: dict[str, Any], rng: random.Random) -> None:
        # As in a forecast: a batch would be asked at once.
        at_once = settings.remote.model_copy(update={"batch": False})
        self._brain = Lifecycle(settings.model_copy(update={"remote": at_once, "shared_budget": None}))
        self._log = log
        self._input = input
        self._rng = rng
        self._price = _typical(log)
        self._evidence = Evidence(log, rng)
        self._compared = self._drawn = 0

    def run(self) -> Replayed:
        """Decide on each request, in order."""
        requests = self._log.requests
        if requests:
            self._brain.resume_from(Standing(settings_digest="", examples=self._log.examples), requests[0].at)
        decisions = []
        for number, (one, version) in enumerate(zip(requests, self._log.serving(), strict=True)):
            due = self._brain.next_due()
            if due and due <= one.at:
                self._brain.due(one.at)
            if version is not None and version != self._brain.state.version:
                self._promote(version, number)
            decisions.append(self._decide(number, one))
        return Replayed(decisions, self._compared, self._drawn)

    # --- versions ----------------------------------------------------------------------------------------------

    def _promote(self, version: int, number: int) -> None:
        """Let it serve from here on, as it did, on its hold-out comparisons."""
        state, now = self._brain.state, self._log.requests[number].at
        state.training, state.fine_tunes = version, max(state.fine_tunes, version)
        compared = self._evidence.holdout(version, self._brain.settings.sampling.window_size)
        mean = sum(one.score for one in compared) / len(compared) if compared else None
        validation = Validation(holdout=len(compared), mean=mean, low=None, high=None, comparisons=compared)
        self._brain.observe(
            FineTuneOutcome(number=version, promoted=True, reason="as it was", validation=validation), now
        )

    # --- requests ----------------------------------------------------------------------------------------------

    def _decide(self, number: int, one: Logged) -> Decision:
        brain, now = self._brain, one.at
        request = TaskRequest(request_id=str(number), task=brain.settings.name, input=self._input)
        try:
            route = brain.admit(request, self._coin(one), now)
            local = self._local(route, one)
            unknown = route.reason in BY_COIN and local is None
            chance = _chance(route)
            if local and route.reason in BY_COIN and (local.confidence or 0.0) < route.defer_below:
                chance = 1.0
                if not route.remote:
                    route = brain.defer(request, route, RouteReason.DEFERRED, now)
                    chance = 1.0 if route.remote else 0.0
        except BudgetExhausted:
            brain.observe(
                RequestOutcome(request_id=request.request_id, route=None, error=BudgetExhausted.__name__), now
            )
            return Decision(False, 0.0, brain.state.phase, answered=False)
        self._learn(request, route, local, one)
        return Decision(route.remote, chance, brain.state.phase, unknown=unknown)

    def _coin(self, one: Logged) -> float:
        """One that would have had the log do what it did."""
        coin = self._rng.random()
        if one.chance is None or not 0.0 < one.chance < 1.0:
            return coin
        return one.chance * coin if one.score is not None else one.chance + (1.0 - one.chance) * coin

    def _local(self, route: Route, one: Logged) -> Answer | None:
        if not route.local or one.version is None:
            return None
        backend = self._brain.settings.local.backend
        return Answer(source=Source.LOCAL, output={}, model=backend, version=one.version, confidence=one.confidence)

    def _learn(self, request: TaskRequest, route: Route, local: Answer | None, one: Logged) -> None:
        remote = None
        if route.remote:
            cost = self._price if one.cost is None else one.cost
            remote = Answer(source=Source.REMOTE, output={}, model=self._brain.settings.remote.model, cost=cost)
        elif local is None:  # it served, if nobody knows how sure it was
            local = Answer(source=Source.LOCAL, output={}, model="", version=route.version)
        example = Split.TRAIN if remote and (one.example or one.cost is None) else None
        score = self._score(local, one) if remote and local else None
        self._brain.observe(
            RequestOutcome(
                request_id=request.request_id,
                route=route,
                remote=remote,
                local=local,
                score=score,
                example=example,
                copied=one.copied and remote is not None,
            ),
            one.at,
        )

    def _score(self, local: Answer, one: Logged) -> float | None:
        self._compared += 1
        if one.score is not None:
            return one.score
        self._drawn += 1
        return self._evidence.score(local)


def _chance(route: Route) -> float:
    if route.reason in BY_COIN:
        return route.propensity
    return 1.0 if route.remote else 0.0


def _typical(log: Log) -> Decimal:
    paid = [one.cost for one in log.requests if one.cost is not None and not one.copied]
    return (sum(paid, Decimal(0)) / len(paid)).quantize(COST_DIGITS) if paid else Decimal(0)
