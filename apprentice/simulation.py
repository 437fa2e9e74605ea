"""Runs a task's brain over recorded traffic, without a server: the forecast, and the benchmark of the rules.

The `Lifecycle` decides as it does behind `workflows.serving`; the recorded output stands in for the remote model's
answer, and the local model is really trained. Nothing is looked up ahead: every request is answered by the version
that was current when it came.
"""

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from apprentice import prices
from apprentice.accounting import BudgetExhausted
from apprentice.allowance.state import AllowanceState
from apprentice.evaluators import Evaluator
from apprentice.forecast import Forecast, Tally
from apprentice.lifecycle import Lifecycle
from apprentice.messages import (
    Action,
    Answer,
    FineTuneRequest,
    Phase,
    RequestOutcome,
    Route,
    RouteReason,
    Source,
    StartFineTune,
    TaskRequest,
)
from apprentice.settings import AllowanceSettings, Price, TaskSettings
from apprentice.simulated_training import Json, SimulatedTraining, Train
from apprentice.state import LifecycleState


@dataclass(frozen=True)
class Recorded:
    """One request of recorded traffic with the remote model's answer. Ids are unique."""

    request_id: str
    input: Json
    output: Json


@dataclass(frozen=True)
class SimulatedRequest:
    """What the caller would have got. `output` and `served_by` are None where `error` names why there is no answer.

    `agreement` is the output's with the recorded one, `remote_cost` what asking the remote model takes, `phase` the
    one that the task was in afterwards.
    """

    request_id: str
    output: Json | None
    served_by: Source | None
    degraded: bool
    cost: Decimal
    error: str | None = None
    agreement: float | None = None
    remote_cost: Decimal = Decimal(0)
    phase: Phase = Phase.COLLECTING


@dataclass(frozen=True)
class _FineTune:
    """A fine-tune that is under way until request number `ready` comes."""

    request: FineTuneRequest
    snapshot: tuple[int, int]
    ready: int


class Simulation:
    """One task over one recording, once. Requests come one at a time, `seconds_between_requests` apart.

    `train` learns a version from examples; `rng` tosses the coins of the spot checks. `max_remote_calls` is an
    allowance for the whole recording, in place of the task's own; it is spent as that would be in a period. A fine-tune
    takes as long as `training_requests` requests. Raises ValueError where the remote model has no known price.
    """

    def __init__(
        self,
        settings: TaskSettings,
        train: Train,
        evaluator: Evaluator,
        rng: random.Random,
        start: datetime,
        *,
        seconds_between_requests: float = 1.0,
        max_remote_calls: int | None = None,
        training_requests: int = 0,
    ) -> None:
        # The forecast is of spot checks that are answered at once, at the full price: a batch is no dearer.
        at_once = settings.remote.model_copy(update={"batch": False})
        settings = settings.model_copy(update={"remote": at_once})
        state = LifecycleState()
        if max_remote_calls is not None:
            settings = settings.model_copy(update={"allowance": AllowanceSettings(remote_calls=max_remote_calls)})
            state.allowance = AllowanceState(horizon=0)
        self.brain = Lifecycle(settings, state)
        self._training = SimulatedTraining(settings, train, evaluator)
        self._evaluator = evaluator
        self._rng = rng
        self._price = _price(settings)
        self._now = start
        self._step = timedelta(seconds=seconds_between_requests)
        self._delay = training_requests
        self._fine_tune: _FineTune | None = None
        self._tally = Tally()

    def run(self, traffic: Sequence[Recorded]) -> Iterator[SimulatedRequest]:
        """Each request's answer, in order. An allowance for the recording has to last for all of them."""
        allowance = self.brain.state.allowance
        if allowance is not None and allowance.horizon is not None:
            allowance.horizon = len(traffic)
        for row in traffic:
            self._by_the_clock()
            served = self._serve(row)
            agreement = None if served.output is None else self._evaluator(served.output, row.output)
            cost = self._cost(row)
            self._tally.add(local=served.served_by is Source.LOCAL, agreement=agreement, remote_cost=cost)
            yield replace(served, agreement=agreement, remote_cost=cost, phase=self.brain.state.phase)
            self._now += self._step

    def forecast(self) -> Forecast:
        """How it went so far."""
        return self._tally.forecast(self.brain, self._now)

    # --- one request, as in `workflows.serving` ----------------------------------------------------------------

    def _serve(self, row: Recorded) -> SimulatedRequest:
        request = TaskRequest(request_id=row.request_id, task=self.brain.settings.name, input=row.input)
        try:
            route = self.brain.admit(request, self._rng.random(), self._now)
        except BudgetExhausted:
            error = BudgetExhausted.__name__
            self._observe(RequestOutcome(request_id=row.request_id, route=None, error=error))
            return SimulatedRequest(row.request_id, None, None, False, Decimal(0), error)
        local = self._local(route, row)
        if local and not route.remote and (local.confidence or 0.0) < route.defer_below:
            route = self.brain.defer(request, route, RouteReason.DEFERRED, self._now)
            if not route.remote:
                route = route.model_copy(update={"degraded": True})
        return self._finish(row, route, self._remote(row) if route.remote else None, local)

    def _finish(self, row: Recorded, route: Route, remote: Answer | None, local: Answer | None) -> SimulatedRequest:
        served = remote or local
        assert served is not None  # a route without the remote model has a local version
        outcome = RequestOutcome(
            request_id=row.request_id,
            route=route,
            remote=remote,
            local=local,
            score=self._evaluator(local.output, remote.output) if remote and local else None,
            example=self._training.collect(row.input, remote.output, fair=route.fair) if remote else None,
        )
        self._observe(outcome)
        degraded = served.source is Source.LOCAL and route.short(served.confidence)
        return SimulatedRequest(row.request_id, served.output, served.source, degraded, served.cost)

    def _remote(self, row: Recorded) -> Answer:
        model = self.brain.settings.remote.model
        return Answer(source=Source.REMOTE, output=row.output, model=model, cost=self._cost(row))

    def _local(self, route: Route, row: Recorded) -> Answer | None:
        if not route.local or route.version is None:
            return None
        answer = self._training.ask(route.version, row.input)
        return Answer(
            source=Source.LOCAL,
            output=answer.output,
            model=self.brain.settings.local.backend,
            version=route.version,
            confidence=answer.confidence,
        )

    def _cost(self, row: Recorded) -> Decimal:
        settings = self.brain.settings.remote
        output = min(prices.typical_tokens(_text(row.output)), settings.max_output_tokens)
        return prices.cost(
            self._price, prices.Usage(prices.PROMPT_TOKENS + prices.typical_tokens(_text(row.input)), output)
        )

    # --- fine-tunes --------------------------------------------------------------------------------------------

    def _observe(self, outcome: RequestOutcome) -> None:
        self._carry_out(self.brain.observe(outcome, self._now))

    def _carry_out(self, actions: list[Action]) -> None:
        """Alerts need nothing: they are in the state."""
        for action in actions:
            if isinstance(action, StartFineTune):
                ready = self.brain.state.requests + self._delay
                self._fine_tune = _FineTune(action.request, self._training.sizes(), ready)
                if not self._delay:
                    self._end_fine_tune()

    def _by_the_clock(self) -> None:
        if self._fine_tune and self.brain.state.requests >= self._fine_tune.ready:
            self._end_fine_tune()
        due = self.brain.next_due()
        if due and due <= self._now:
            self._carry_out(self.brain.due(self._now))

    def _end_fine_tune(self) -> None:
        running, self._fine_tune = self._fine_tune, None
        if running is None:
            return
        outcome = self._training.fine_tune(running.request, running.snapshot)
        self._carry_out(self.brain.observe(outcome, self._now))


def _price(settings: TaskSettings) -> Price:
    price = prices.price_of(settings.remote)
    if price is None:
        raise ValueError(f"no price is known for the model {settings.remote.model!r}: set `price:` for it")
    return price


def _text(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False)
