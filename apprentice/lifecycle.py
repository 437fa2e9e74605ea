"""The brain of a task: where each request goes, what is learnt from it, what must be done next.

`Lifecycle` is deterministic: time and coins are arguments, and nothing but its own calls touches its state. The
workflow, the simulator and the tests all run this class.
"""

from datetime import datetime
from decimal import Decimal

from apprentice import deferral, phases, routing, sampling, schedule
from apprentice.budget import Budget
from apprentice.confidence import shift, window
from apprentice.explanation import explain
from apprentice.messages import (
    Action,
    Alert,
    AlertKind,
    ApplySettings,
    Comparison,
    FineTuneOutcome,
    FineTuneRequest,
    ForceRemote,
    HistoryPoint,
    Interval,
    Order,
    Outcome,
    PauseCoaching,
    Phase,
    RaiseAlert,
    RequestOutcome,
    Resume,
    Retrain,
    Route,
    RouteReason,
    Split,
    StartFineTune,
    TaskRequest,
    TaskStatus,
    VersionStatus,
)
from apprentice.prices import reservation
from apprentice.settings import TaskSettings
from apprentice.state import LifecycleState

COST_DIGITS = Decimal("0.000000001")
REASON_KEPT = 500  # characters of a fine-tune's reason: a trainer's error can be pages long, the state must stay small
COPIED_INTO_STATUS = {
    *("requests", "local", "deferred", "degraded", "failed", "examples", "holdout", "version", "training"),
    *("coaching_paused", "spend", "all_remote", "versions", "alerts"),
}


class BudgetExhausted(Exception):
    """No cap has room for the call and no local model can answer. `resets` is when it will fit again."""

    def __init__(self, amount: Decimal, currency: str, resets: datetime | None) -> None:
        when = f"; the next period begins {resets:%Y-%m-%d %H:%M} UTC" if resets else ""
        super().__init__(f"a call may cost up to {amount} {currency}, more than a cap has room for{when}")
        self.resets = resets


class Lifecycle:
    """One task's brain over its state."""

    def __init__(self, settings: TaskSettings, state: LifecycleState | None = None) -> None:
        self.settings = settings
        self.state = state or LifecycleState()
        self.budget = Budget(settings.budget, self.state.ledger)
        self._correlation = window.correlation(self.state.window)

    # --- one request -------------------------------------------------------------------------------------------

    def admit(self, request: TaskRequest, coin: float, now: datetime) -> Route:
        """Where the request goes; money for a remote call is set aside. `coin` is uniform in [0, 1).

        Raises `BudgetExhausted` when only the remote model could answer and no cap has room.
        """
        return self._fund(routing.policy(self.state, coin, now), request, now)

    def defer(self, request: TaskRequest, route: Route, reason: RouteReason, now: datetime) -> Route:
        """The second route of a request whose local answer cannot be served: remote, within budget.

        `reason` is DEFERRED (too unsure) or LOCAL_FAILED.
        """
        return self._fund(route.model_copy(update={"remote": True, "reason": reason, "propensity": 1.0}), request, now)

    def _fund(self, route: Route, request: TaskRequest, now: datetime) -> Route:
        if not route.remote:
            return route
        amount = reservation(self.settings, request.input)
        if self.budget.reserve(request.request_id, amount, now):
            return route.model_copy(update={"reserved": amount})
        if self.state.version is None:
            raise BudgetExhausted(amount, self.settings.budget.currency, self.budget.next_room(amount, now))
        return routing.without_budget(route, self.state.version)

    # --- learning ----------------------------------------------------------------------------------------------

    def observe(self, outcome: Outcome, now: datetime) -> list[Action]:
        """Learn from a finished request or fine-tune; what follows from it."""
        match outcome:
            case RequestOutcome(replayed=True):
                self._pay(outcome.request_id, outcome.lost or None, now)
                self.state.all_remote += outcome.lost
                return []
            case RequestOutcome():
                actions = self._request(outcome, now)
            case FineTuneOutcome():
                actions = self._fine_tune(outcome, now)
        actions += self.due(now)
        if isinstance(outcome, RequestOutcome) and self.state.requests % self.state.stride == 0:
            self.state.remember(self._point(now))
        return actions

    def due(self, now: datetime) -> list[Action]:
        """What the clock or the number of examples asks for; call it when `next_due` has come."""
        if self.state.forced and not routing.forced(self.state, now):
            self.state.forced, self.state.forced_until = False, None
        if schedule.overdue(self.state, self.settings, now):
            number = self.state.training or 0
            return self._fine_tune(FineTuneOutcome(number=number, promoted=False, reason="it never ended"), now)
        reason = schedule.why_train(self.state, self.settings, now)
        return [self._start_fine_tune(reason, now)] if reason else []

    def next_due(self) -> datetime | None:
        """When `due` has to be called next, by the clock alone."""
        times = [self.state.forced_until if self.state.forced else None, schedule.next_due(self.state, self.settings)]
        return min((time for time in times if time), default=None)

    def _request(self, outcome: RequestOutcome, now: datetime) -> list[Action]:
        self._account(outcome, now)
        state, route = self.state, outcome.route
        state.examples += outcome.example is not None
        state.holdout += outcome.example is Split.HOLDOUT
        if outcome.score is not None and route is not None and outcome.local is not None:
            self._compared(outcome.score, route, outcome.local.confidence, outcome.local.version)
        actions = self._judge(now) if outcome.score is not None or outcome.example is not None else []
        starved = route is not None and route.reason is RouteReason.BUDGET
        if starved or outcome.error == BudgetExhausted.__name__:
            actions += self._budget_alert(now)
        return actions

    def _account(self, outcome: RequestOutcome, now: datetime) -> None:
        """Counters and money of one request."""
        state, route = self.state, outcome.route
        cost = outcome.remote.cost if outcome.remote else outcome.lost
        self._pay(outcome.request_id, cost if outcome.remote or cost else None, now)
        served_locally = outcome.error is None and outcome.remote is None
        state.requests += 1
        state.failed += outcome.error is not None
        state.local += served_locally
        state.degraded += served_locally and route is not None and route.degraded
        state.deferred += route is not None and route.reason is RouteReason.DEFERRED
        all_remote = cost
        if served_locally and state.remote_calls:
            all_remote += (state.spend / state.remote_calls).quantize(COST_DIGITS)
        state.remote_calls += outcome.remote is not None
        state.all_remote += all_remote
        self.budget.record(now, local=served_locally, spend=cost, all_remote=all_remote)

    def _pay(self, request_id: str, cost: Decimal | None, now: datetime) -> None:
        """End the request's reservation, if it has one: settled at `cost`, or given back when no call was made."""
        if cost is None:
            self.budget.release(request_id)
            return
        self.budget.settle(request_id, cost, now)
        self.state.spend += cost

    def _compared(self, score: float, route: Route, confidence: float | None, version: int | None) -> None:
        state = self.state
        if version is None or version != state.version:
            return  # a version that was replaced while it answered says nothing about its successor
        if not route.fair:
            return
        propensity = route.chance_of_comparison(confidence)
        comparison = Comparison(score=score, propensity=propensity, confidence=confidence, version=version)
        self._set_window([*state.window, comparison])
        if state.phase is Phase.AUTONOMOUS:
            state.shift = shift.step(state.shift, score, self.settings.confidence_thresholds.coaching_trigger)

    def _fine_tune(self, outcome: FineTuneOutcome, now: datetime) -> list[Action]:
        state = self.state
        if outcome.number != state.training:
            return []  # a repeat, or one that was given up
        state.training = None
        state.trained_examples = max(state.trained_examples, outcome.train + outcome.holdout)
        failed, reason = outcome.validation is None, outcome.reason[:REASON_KEPT]
        state.record(
            VersionStatus(
                version=outcome.number,
                state="failed" if failed else "promoted" if outcome.promoted else "rejected",
                reason=reason,
                at=now,
                train=outcome.train,
                holdout=outcome.holdout,
                holdout_mean=outcome.validation.mean if outcome.validation else None,
            )
        )
        if outcome.promoted and outcome.validation is not None:
            state.version, state.retrain_reason = outcome.number, None
            self._restart_window(outcome.validation.comparisons)
        if failed:
            return [self._alert(AlertKind.TRAINING, f"fine-tune {outcome.number} failed: {reason}", now)]
        return self._judge(now)

    # --- judging -----------------------------------------------------------------------------------------------

    def _judge(self, now: datetime) -> list[Action]:
        """Move the phase, then the rate and the deferral threshold, to where the window says they belong."""
        state = self.state
        move = phases.next_phase(
            state.phase,
            examples=state.examples,
            can_answer=state.version is not None,
            compared=len(state.window),
            correlation=self._correlation,
            shifted=shift.proven(state.shift),
            thresholds=self.settings.confidence_thresholds,
        )
        actions = self._move(*move, now) if move else []
        if state.phase is Phase.AUTONOMOUS and self._correlation is not None:
            actions += self._steer(self._correlation, now)
        return actions

    def _move(self, phase: Phase, reason: str, now: datetime) -> list[Action]:
        state, back = self.state, phase < self.state.phase
        state.phase, state.phase_reason = phase, reason
        state.rate, state.rate_anchor, state.shift = 1.0, None, 0.0
        if not back:
            # A version may have been promoted long before the last example that this move waited for.
            return self._judge(now) if phase is Phase.COACHING else []
        self._restart_window([])
        return [self._alert(AlertKind.QUALITY, f"back to the remote model: {reason}", now), *self._retrain(reason, now)]

    def _steer(self, correlation: Interval, now: datetime) -> list[Action]:
        """Rate and deferral threshold in phase 3; coaching when the correlation is under the trigger."""
        state, thresholds = self.state, self.settings.confidence_thresholds
        state.defer_below = deferral.threshold(state.window, thresholds.phase2_to_phase3)
        # Little evidence must never look like much: until the window is full its lower bound stands for its mean.
        full = len(state.window) >= self.settings.sampling.window_size
        effective = correlation.mean if full else correlation.low
        before, state.coaching = state.coaching, self._coaching(correlation)
        low = state.coaching or correlation.mean < thresholds.coaching_trigger
        if low or sampling.moved(effective, state.rate_anchor, self.settings.sampling):
            state.rate = sampling.rate(effective, thresholds, self.settings.sampling)
            state.rate_anchor = effective
        if before or not state.coaching:
            return []
        reason = f"correlation {correlation.mean:.2f} fell below coaching_trigger {thresholds.coaching_trigger:.2f}"
        alert = self._alert(AlertKind.QUALITY, f"{reason}; everything is compared", now)
        return [alert, *self._retrain(reason, now)]

    def _coaching(self, correlation: Interval) -> bool:
        """Whether the correlation fell below the trigger and has not come back to where a model may serve.

        If coaching ended at the trigger itself, a correlation near it would alert and retrain at every crossing.
        """
        thresholds = self.settings.confidence_thresholds
        if self.state.coaching:
            return correlation.mean < thresholds.phase2_to_phase3
        return phases.enough(correlation, thresholds) and correlation.mean < thresholds.coaching_trigger

    def _restart_window(self, comparisons: list[Comparison]) -> None:
        self._set_window(comparisons)
        self.state.shift, self.state.rate_anchor, self.state.coaching = 0.0, None, False

    def _set_window(self, comparisons: list[Comparison]) -> None:
        self.state.window = comparisons[-self.settings.sampling.window_size :]
        self._correlation = window.correlation(self.state.window)

    # --- fine-tuning -------------------------------------------------------------------------------------------

    def _retrain(self, reason: str, now: datetime) -> list[Action]:
        """Start a fine-tune; one that cannot start now is not forgotten."""
        if schedule.may_train(self.state):
            return [self._start_fine_tune(reason, now)]
        self.state.retrain_reason = reason
        return []

    def _start_fine_tune(self, reason: str, now: datetime) -> Action:
        state = self.state
        state.fine_tunes += 1
        state.retrain_reason = None
        state.training, state.trained_at, state.trained_examples = state.fine_tunes, now, state.examples
        request = FineTuneRequest(
            task=self.settings.name,
            number=state.fine_tunes,
            settings_digest=self.settings.digest,
            schema_version=self.settings.schema_version,
            incumbent=state.version,
            promotion_threshold=self.settings.confidence_thresholds.emergency_threshold,
            window_size=self.settings.sampling.window_size,
            training_timeout=self.settings.local.training_timeout,
            reason=reason,
        )
        return StartFineTune(request=request)

    # --- orders, alerts, status --------------------------------------------------------------------------------

    def operate(self, order: Order, now: datetime) -> list[Action]:
        """Carry out an operator's order; orders may be given twice."""
        state = self.state
        match order:
            case ForceRemote(until=until):
                state.forced, state.forced_until = True, until
            case Resume():
                state.forced, state.forced_until = False, None
            case PauseCoaching(paused=paused):
                state.coaching_paused = paused
            case Retrain():
                if state.training is None and state.examples:
                    return [self._start_fine_tune("an operator asked for it", now)]
            case ApplySettings(settings=settings):
                self.settings = settings
                self.budget = Budget(settings.budget, state.ledger)
                self._set_window(state.window)
                state.rate_anchor = None
                return [*self._judge(now), *self.due(now)]
        return self.due(now)

    def _budget_alert(self, now: datetime) -> list[Action]:
        """One alert for each period in which a cap turned a call away."""
        caps = self.budget.status(now)
        periods = " ".join(f"{cap.period}:{cap.resets:%Y-%m-%d}" for cap in caps)
        if periods == self.state.budget_alerted:
            return []
        self.state.budget_alerted = periods
        amounts = ", ".join(f"{cap.period} {cap.settled + cap.reserved} of {cap.cap}" for cap in caps)
        return [self._alert(AlertKind.BUDGET, f"a cap has no room for a remote call: {amounts}", now)]

    def _alert(self, kind: AlertKind, message: str, now: datetime) -> Action:
        task = self.settings.name
        self.state.alert_count += 1
        alert = Alert(id=f"{task}-{self.state.alert_count}", task=task, kind=kind, message=message, at=now)
        self.state.raise_alert(alert)
        return RaiseAlert(alert=alert)

    def _point(self, now: datetime) -> HistoryPoint:
        state, correlation = self.state, self._correlation
        return HistoryPoint(
            at=now,
            requests=state.requests,
            phase=state.phase,
            correlation=correlation.mean if correlation else None,
            low=correlation.low if correlation else None,
            high=correlation.high if correlation else None,
            sampling_rate=state.rate,
            local=state.local,
            spend=state.spend,
            all_remote=state.all_remote,
        )

    def status(self, now: datetime) -> TaskStatus:
        """Everything there is to know; reading changes nothing."""
        state, forced = self.state, routing.forced(self.state, now)
        return TaskStatus(
            task=self.settings.name,
            explanation=explain(state, self.settings, self._correlation, forced=forced),
            at=now,
            phase=state.phase,
            correlation=self._correlation,
            trend=window.trend(state.window),
            sampling_rate=0.0 if state.coaching_paused and state.phase is Phase.AUTONOMOUS else state.rate,
            forced_remote=forced,
            forced_until=state.forced_until if forced else None,
            currency=self.settings.budget.currency,
            caps=self.budget.status(now),
            days=list(state.ledger.days.values()),
            **{name: getattr(state, name) for name in COPIED_INTO_STATUS},
        )
