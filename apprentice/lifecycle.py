"""The brain of a task: where each request goes, what is learnt from it, what must be done next.

`Lifecycle` is deterministic: time and coins are arguments, and nothing but its own calls touches its state. The
workflow, the simulator and the tests all run this class.
"""

from datetime import datetime

from apprentice import batching, gold, opinions, overview, repeating, rollback, routing, schedule, troubles
from apprentice.accounting import Accounts, BudgetExhausted, Room
from apprentice.alarms import Alarms
from apprentice.allowance.spending import Spending
from apprentice.before_0_4.judge import Judge as JudgeBefore
from apprentice.collecting import Asked, Collecting
from apprentice.messages import (
    Action,
    AlertKind,
    Answer,
    ApplySettings,
    BatchOutcome,
    Comparison,
    FineTuneOutcome,
    ForceRemote,
    Freeze,
    Gold,
    Opinion,
    Order,
    Outcome,
    PauseCoaching,
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
from apprentice.opinions import Opinions
from apprentice.orders import settings_after
from apprentice.promotion import verdict
from apprentice.quality.judge import Judge
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
        self.state = state or LifecycleState()
        self.accounts = Accounts(settings, self.state, release=release)
        self.collecting = Collecting(self.accounts)
        self.spending = Spending(self.accounts)
        self.alarms = Alarms(self.accounts)
        self.opinions = Opinions(self.accounts, self.alarms)
        judge = Judge if release >= Release.V0_4 else JudgeBefore
        self.judge: Judge | JudgeBefore = judge(self.accounts, self.alarms, self._retrain)
        # As the store knows the settings. A later release may give the same settings another hash (new keys).
        self.digest = settings.digest

    def resume_from(self, standing: Standing, now: datetime) -> None:
        """Begin where an earlier life of the task left its examples, version numbers and spend; nothing once begun."""
        if self.state.begun:
            return
        self.state.begun = True
        if standing.schema_version is not None:
            self.settings = self.settings.model_copy(update={"schema_version": standing.schema_version})
            self.accounts.settings = self.settings
        if not self.state.examples:
            self.state.examples, self.state.holdout = standing.examples, standing.holdout
            self.state.fine_tunes = max(self.state.fine_tunes, standing.last_version)
        self.state.gold = standing.gold
        self.state.batches.number = max(self.state.batches.number, standing.last_batch)
        if not self.state.requests:
            self.accounts.recover(standing.spent, now)

    # --- one request -------------------------------------------------------------------------------------------

    def policy(self, coin: float, now: datetime) -> Route:
        """Where a request would go if money were no object. `coin` is uniform in [0, 1)."""
        bought = None if routing.forced(self.state, now) else self.spending.route(coin, now)
        if bought is not None:
            return bought
        route = routing.policy(self.state, coin, now)
        return batching.postponed(route, self.settings, coaching=self.state.coaching)

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

    def ask_later(self, request: TaskRequest, local: Answer, route: Route, now: datetime) -> list[Action]:
        """Have the answer that was served checked in a batch, if a cap has room for it."""
        propensity = route.chance_of_comparison(local.confidence)
        asked = self.collecting.ask(request, self.digest, now, local=local, propensity=propensity, coaches=True)
        return [*asked.actions, *(self.alarms.shortage(now) if asked.room is Room.NONE else [])]

    def backfill(self, request: TaskRequest, now: datetime) -> Asked:
        """Have an input answered in a batch, for training only."""
        return self.collecting.ask(request, self.digest, now)

    def second_opinion(
        self, request: TaskRequest, outcome: RequestOutcome, admission: str, coin: float, now: datetime
    ) -> list[Action]:
        """What to ask of another remote model too, when the caller is served. `coin` is uniform in [0, 1)."""
        return self.opinions.ask(request, outcome, admission, self.digest, coin, now)

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
            case Gold():
                self.state.gold = outcome
                return []
            case Opinion():
                return self.opinions.heard(outcome, now)
            case BatchOutcome():
                actions = self._batch(outcome, now)
            case RolledBack():
                actions = self._rolled_back(outcome, now)
        actions += self.due(now)
        if isinstance(outcome, RequestOutcome) and self.state.requests % self.state.stride == 0:
            self.state.remember(overview.point(self.state, self.judge.correlation, now))
        return actions

    def due(self, now: datetime) -> list[Action]:
        """What the clock or the number of examples asks for; call it when `next_due` has come."""
        if self.state.forced and not routing.forced(self.state, now):
            self.state.forced, self.state.forced_until = False, None
        self.spending.due(now)
        batches = self.collecting.due(now)
        for lost in self.collecting.lost(now):
            batches += self._batch(lost, now)
        if schedule.overdue(self.state, self.settings, now):
            number = self.state.training or 0
            failed = FineTuneOutcome(number=number, promoted=False, reason="it never ended")
            return batches + self._fine_tune(failed, now)
        reason = schedule.why_train(self.state, self.settings, now)
        return [*batches, self._start_fine_tune(reason, now)] if reason else batches

    def next_due(self) -> datetime | None:
        """When `due` has to be called next, by the clock alone."""
        times = [self.state.forced_until if self.state.forced else None, schedule.next_due(self.state, self.settings)]
        return min((time for time in [*times, self.collecting.next_due()] if time), default=None)

    def _request(self, outcome: RequestOutcome, now: datetime) -> list[Action]:
        self.accounts.close(outcome, now)
        self.spending.note(outcome, now)
        state, route = self.state, outcome.route
        state.examples += outcome.example is not None
        state.holdout += outcome.example is Split.HOLDOUT
        if self.accounts.release >= Release.V0_4:  # before, only new examples counted
            repeating.note(state, outcome)
        if state.fresh is not None and outcome.remote and not outcome.copied and route is not None and route.fair:
            state.fresh += outcome.example is Split.HOLDOUT
        if outcome.score is not None and outcome.remote and route and route.fair:
            self.judge.hear(outcome.remote)
        seen = outcome.local is not None and self.judge.see(outcome.local)
        if outcome.score is not None and route is not None and outcome.local is not None:
            self._compared(outcome.score, route, outcome.local.confidence, outcome.local.version)
        if outcome.local_error == "BadAnswer" and route is not None:
            self.judge.see_unusable(route.version)
        unusable = self.accounts.release >= Release.V0_3 and outcome.unusable
        if unusable and route is not None:
            self._compared(0.0, route, None, route.version, by_coin=True)
        scored = outcome.score is not None or unusable or seen
        actions = self.judge.judge(now) if scored or outcome.example is not None else []
        starved = route is not None and route.reason is RouteReason.BUDGET
        if starved or outcome.error == BudgetExhausted.__name__:
            actions += self.alarms.shortage(now)
        actions += self.alarms.local_model(outcome, now)
        remote = outcome.remote if not outcome.copied else None
        answered = (remote.provider, remote.model) if remote and remote.provider else None
        return actions + self.alarms.providers(outcome.troubles, answered, now)

    def _compared(
        self, score: float, route: Route, confidence: float | None, version: int | None, *, by_coin: bool = False
    ) -> None:
        """`by_coin`: another request like this would not have been compared, however unsure, had no coin chosen it."""
        if version is None or version != self.state.version:
            return  # a version that was replaced while it answered says nothing about its successor
        propensity, weight = route.chance_of_comparison(confidence), 1.0 if by_coin else route.weight(confidence)
        comparison = Comparison(
            score=score, propensity=propensity, weight=weight or 1.0, confidence=confidence, version=version
        )
        if route.fair:
            self.judge.learn([comparison])
        elif isinstance(self.judge, Judge) and route.reason is RouteReason.DEFERRED and weight:
            # A coin that chose it for a check in a batch was tossed before it was seen to be too unsure to wait for it.
            self.judge.learn([comparison], fair=route.later)

    def _batch(self, outcome: BatchOutcome, now: datetime) -> list[Action]:
        state, batches = self.state, self.state.batches
        if batches.under_way.pop(outcome.number, None) is None:
            return []  # a repeat, or one that was given up
        self.accounts.close_batch(outcome, now)
        if outcome.schema_version == self.settings.schema_version:
            state.examples, state.holdout = state.examples + outcome.examples, state.holdout + outcome.holdout
        fresh = outcome.comparisons if outcome.number >= batches.fresh_from else []
        # A version that was replaced meanwhile says nothing about its successor.
        compared = [comparison for comparison in fresh if comparison.version == state.version]
        self.judge.learn(compared)
        actions = self.judge.judge(now) if compared or outcome.examples else []
        if outcome.error:
            message = f"batch {outcome.number}, of questions nobody waits for, failed: {outcome.error[:REASON_KEPT]}"
            actions.append(self.alarms.tell(AlertKind.PROVIDER, message, now))
        return actions

    def _fine_tune(self, outcome: FineTuneOutcome, now: datetime) -> list[Action]:
        state = self.state
        if outcome.number != state.training:
            return []  # a repeat, or one that was given up
        state.training = None
        state.trained_examples = max(state.trained_examples, outcome.train + outcome.holdout + outcome.left_out)
        reason = outcome.reason[:REASON_KEPT]
        state.record(verdict(outcome.model_copy(update={"reason": reason}), now))
        if outcome.promoted and outcome.validation is not None:
            state.version, state.retrain_reason = outcome.number, None
            self.judge.restart(outcome.validation.comparisons, outcome.validation)
        if outcome.validation is None:
            return [self.alarms.tell(AlertKind.TRAINING, f"fine-tune {outcome.number} failed: {reason}", now)]
        return self.judge.judge(now)

    def _rolled_back(self, done: RolledBack, now: datetime) -> list[Action]:
        if done.version == self.state.version:
            return []
        rollback.switch(self.state, done, now)
        self.judge.restart(done.validation.comparisons, done.validation)
        return self.judge.judge(now)

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
                self.collecting.retire(now)
                return []
            case ApplySettings() | SetCaps():
                return self._apply(settings_after(order, self.settings), now)
        return self.due(now)

    def _apply(self, settings: TaskSettings, now: datetime) -> list[Action]:
        if settings.schema_version > self.settings.schema_version:
            self.state.begin_anew()
            self.opinions.forget()
            self.judge.restart([])
            self.collecting.drop()
        if opinions.teachers(settings.remote) != opinions.teachers(self.settings.remote):
            self.opinions.forget()
            self.state.gold = gold.without_teacher(self.state.gold)
        self.state.troubled = troubles.configured(self.state.troubled, settings.remote)
        self.settings, self.digest = settings, settings.digest
        self.accounts.apply(settings, now)
        self.judge.resize()
        return [*self.judge.judge(now), *self.due(now)]

    def status(self, now: datetime) -> TaskStatus:
        """Everything there is to know; reading changes nothing."""
        return overview.status(self.state, self.settings, self.accounts, self.judge.correlation, now)
