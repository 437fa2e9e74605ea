"""The brain of a task: where each request goes, what is learnt from it, what must be done next.

`Lifecycle` is deterministic: time and coins are arguments, and nothing but its own calls touches its state. The
workflow, the simulator and the tests all run this class.
"""

from datetime import datetime

from apprentice import deferral, outage, overview, phases, rollback, routing, sampling, schedule
from apprentice.accounting import Accounts, BudgetExhausted
from apprentice.confidence import shift, window
from apprentice.messages import (
    Action,
    Alert,
    AlertKind,
    ApplySettings,
    Comparison,
    FineTuneOutcome,
    ForceRemote,
    Freeze,
    Interval,
    Order,
    Outcome,
    PauseCoaching,
    Phase,
    RaiseAlert,
    Reconcile,
    RequestOutcome,
    Resume,
    Retire,
    Retrain,
    RolledBack,
    Route,
    RouteReason,
    SetCaps,
    Split,
    Standing,
    StartFineTune,
    TaskRequest,
    TaskStatus,
)
from apprentice.orders import settings_after
from apprentice.promotion import verdict
from apprentice.release import TODAY, Release
from apprentice.settings import TaskSettings
from apprentice.state import LifecycleState

REASON_KEPT = 500  # characters of a fine-tune's reason: a trainer's error can be pages long, the state must stay small


class Lifecycle:
    """One task's brain over its state."""

    def __init__(
        self, settings: TaskSettings, state: LifecycleState | None = None, *, release: Release = TODAY
    ) -> None:
        """`release`: by whose rules."""
        self.settings = settings
        self.release = release
        self.state = state or LifecycleState()
        self.accounts = Accounts(settings, self.state, release=release)
        # As the store knows the settings. A later release may give the same settings another hash (new keys).
        self.digest = settings.digest
        self._correlation = window.correlation(self.state.window)

    def resume_from(self, standing: Standing, now: datetime) -> None:
        """Begin where an earlier life of the task left its examples, version numbers and spend; nothing once begun."""
        if self.state.begun:
            return
        self.state.begun = True
        if standing.schema_version is not None:
            self.settings = self.settings.model_copy(update={"schema_version": standing.schema_version})
        if not self.state.examples:
            self.state.examples, self.state.holdout = standing.examples, standing.holdout
            self.state.fine_tunes = max(self.state.fine_tunes, standing.last_version)
        if not self.state.requests:
            self.accounts.recover(standing.spent, now)

    # --- one request -------------------------------------------------------------------------------------------

    def policy(self, coin: float, now: datetime) -> Route:
        """Where a request would go if money were no object. `coin` is uniform in [0, 1)."""
        return routing.policy(self.state, coin, now)

    def admit(self, request: TaskRequest, coin: float, now: datetime, *, patient: bool = False) -> Route:
        """Where the request goes; money for a remote call is set aside. `coin` is uniform in [0, 1).

        Raises `BudgetExhausted` when only the remote model could answer and no cap has room, and, if `patient`,
        `RoomAwaited` when there may be room soon.
        """
        return self.accounts.fund(self.policy(coin, now), request, now, patient=patient)

    def defer(
        self, request: TaskRequest, route: Route, reason: RouteReason, now: datetime, *, patient: bool = False
    ) -> Route:
        """The second route of a request whose local answer cannot be served: remote, within budget.

        `reason` is DEFERRED (too unsure) or LOCAL_FAILED. Raises as `admit`.
        """
        second = route.model_copy(update={"remote": True, "reason": reason, "propensity": 1.0})
        return self.accounts.fund(second, request, now, patient=patient)

    # --- learning ----------------------------------------------------------------------------------------------

    def observe(self, outcome: Outcome, now: datetime) -> list[Action]:
        """Learn from a finished request or fine-tune; what follows from it."""
        match outcome:
            case RequestOutcome(replayed=True):
                self.accounts.close_replayed(outcome, now)
                return []
            case RequestOutcome():
                actions = self._request(outcome, now)
            case FineTuneOutcome():
                actions = self._fine_tune(outcome, now)
            case RolledBack():
                actions = self._rolled_back(outcome, now)
        actions += self.due(now)
        if isinstance(outcome, RequestOutcome) and self.state.requests % self.state.stride == 0:
            self.state.remember(overview.point(self.state, self._correlation, now))
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
        self.accounts.close(outcome, now)
        state, route = self.state, outcome.route
        state.examples += outcome.example is not None
        state.holdout += outcome.example is Split.HOLDOUT
        if outcome.score is not None and route is not None and outcome.local is not None:
            self._compared(outcome.score, route, outcome.local.confidence, outcome.local.version)
        actions = self._judge(now) if outcome.score is not None or outcome.example is not None else []
        starved = route is not None and route.reason is RouteReason.BUDGET
        if starved or outcome.error == BudgetExhausted.__name__:
            shortage = self.accounts.shortage(now)
            actions += [self._alert(AlertKind.BUDGET, shortage, now)] if shortage else []
        if self.release >= Release.V0_3:
            told = outage.notice(state.health, outcome, now)
            return actions + ([self._alert(AlertKind.LOCAL, told, now)] if told else [])
        if (version := outage.first_of_version(state.failed_version, outcome)) is not None:
            state.failed_version = version
            message = f"version {version} cannot answer; its requests go to the remote model within budget"
            actions.append(self._alert(AlertKind.QUALITY, message, now))
        return actions

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
        reason = outcome.reason[:REASON_KEPT]
        state.record(verdict(outcome.model_copy(update={"reason": reason}), now))
        if outcome.promoted and outcome.validation is not None:
            state.version, state.retrain_reason = outcome.number, None
            self._restart_window(outcome.validation.comparisons)
        if outcome.validation is None:
            return [self._alert(AlertKind.TRAINING, f"fine-tune {outcome.number} failed: {reason}", now)]
        return self._judge(now)

    def _rolled_back(self, done: RolledBack, now: datetime) -> list[Action]:
        if done.version == self.state.version:
            return []
        rollback.switch(self.state, done, now)
        self._restart_window(done.validation.comparisons)
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
        return StartFineTune(request=schedule.begin(self.state, self.settings, self.digest, reason, now))

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
            case Freeze(frozen=frozen):
                state.frozen = frozen
            case Reconcile(request_id=request_id, cost=cost):
                self.accounts.reconcile(request_id, cost, now)
            case Retire():
                state.retired = True
                return []
            case ApplySettings() | SetCaps():
                return self._apply(settings_after(order, self.settings), now)
        return self.due(now)

    def _apply(self, settings: TaskSettings, now: datetime) -> list[Action]:
        if settings.schema_version > self.settings.schema_version:
            self.state.begin_anew()
            self._restart_window([])
        self.settings, self.digest = settings, settings.digest
        self.accounts.apply(settings, now)
        self._set_window(self.state.window)
        self.state.rate_anchor = None
        return [*self._judge(now), *self.due(now)]

    def _alert(self, kind: AlertKind, message: str, now: datetime) -> Action:
        task = self.settings.name
        self.state.alert_count += 1
        alert = Alert(id=f"{task}-{self.state.alert_count}", task=task, kind=kind, message=message, at=now)
        self.state.raise_alert(alert)
        return RaiseAlert(alert=alert)

    def status(self, now: datetime) -> TaskStatus:
        """Everything there is to know; reading changes nothing."""
        return overview.status(self.state, self.settings, self.accounts, self._correlation, now)
