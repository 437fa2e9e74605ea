"""Counters and money of one task: what a request may cost before it is sent, what it did cost afterwards."""

from datetime import datetime
from decimal import Decimal
from enum import Enum

from apprentice import batching, routing
from apprentice.allowance.counting import CallBudget
from apprentice.allowance.state import AllowanceState
from apprentice.budget import Budget, Reservation
from apprentice.messages import (
    BatchOutcome,
    Opinion,
    RequestOutcome,
    Route,
    RouteReason,
    Source,
    TaskRequest,
    Unknown,
)
from apprentice.prices import reservation, reservation_before_0_3
from apprentice.purse import Purse
from apprentice.release import TODAY, Release
from apprentice.settings import TaskSettings
from apprentice.state import LifecycleState

COST_DIGITS = Decimal("0.000000001")
UNKNOWN_KEPT = 200


class BudgetExhausted(Exception):
    """No cap has room for the call and no local model may stand in. `resets` is when it will fit again, if it will."""

    def __init__(
        self, amount: Decimal, currency: str, resets: datetime | None, *, frozen: bool = False, no_calls: bool = False
    ) -> None:
        """`no_calls`: no call of the allowance is left, whatever one costs."""
        why = "more than a cap has room for"
        if frozen:
            why = "and an operator has frozen the budget (`apprentice budget unfreeze` ends that)"
        elif no_calls:
            why = "and no remote call of the allowance is left"
        when = f"; the next period begins {resets:%Y-%m-%d %H:%M} UTC" if resets else ""
        super().__init__(f"a call may cost up to {amount} {currency}, {why}{when}")
        self.resets = resets


class RoomAwaited(Exception):
    """There may be room for `amount` soon: when calls in flight are settled, or the budget has answered."""

    def __init__(self, amount: Decimal) -> None:
        super().__init__(f"no room for {amount} yet")
        self.amount = amount


class Room(Enum):
    """Whether a call may be made now, and if not, what could change that."""

    FREE = "free"
    IN_FLIGHT = "when calls in flight are settled"
    NOT_GRANTED = "when the budget for all tasks grants it"
    NONE = "when a period ends, or an operator acts"


class Accounts:
    """Writes the counters of the state and its ledger; nothing else does.

    `release` says by whose rules: since 0.2 coaching stops before the last of a cap is spent (`coaching_share`).
    """

    def __init__(self, settings: TaskSettings, state: LifecycleState, *, release: Release = TODAY) -> None:
        self.settings = settings
        self.state = state
        self.release = release
        self.budget = self._counting(Budget(settings.budget, state.ledger))
        self.purse = Purse(state.grants, state.ledger)

    def apply(self, settings: TaskSettings, now: datetime) -> None:
        """Go on under other caps; what was spent, and called, counts on, also in another time zone."""
        self.settings = settings
        self.budget = self._counting(self.budget.under(settings.budget, now))
        if isinstance(self.budget, CallBudget):
            self.budget.begin(now)

    def _counting(self, budget: Budget) -> Budget:
        """The budget, with the calls counted too where the task has an allowance."""
        allowance = self.settings.allowance
        if allowance.remote_calls is None:
            return budget
        self.state.allowance = self.state.allowance or AllowanceState()
        return CallBudget(budget.settings, budget.ledger, allowance, self.state.allowance)

    def fund(self, route: Route, request: TaskRequest, now: datetime, *, patient: bool = False) -> Route:
        """The route with its money set aside, or the local one where no cap has room.

        Raises `BudgetExhausted`; `RoomAwaited` if `patient` and waiting may help. A request that the local model can
        stand in for waits for the budget's word, but not for others' calls.
        """
        if not route.remote:
            return route
        reserve = reservation if self.release >= Release.V0_3 else reservation_before_0_3
        amount = reserve(self.settings, request.input)
        if self.settings.shared_budget:
            self.state.grants.call = amount
        version = self.state.version
        optional = version is not None and route.reason in (RouteReason.SPOT_CHECK, RouteReason.COACHING)
        if optional and version is not None and not self._may_coach(amount, now):
            return routing.without_budget(route, version)
        stands_in = version is not None and self.settings.budget.on_exhausted == "local"
        room = self.room(amount, now)
        if room is Room.FREE:
            return self._reserve(route, request, amount, now)
        if patient and (room is Room.NOT_GRANTED or (room is Room.IN_FLIGHT and not stands_in)):
            raise RoomAwaited(amount)
        if stands_in and version is not None:
            return routing.without_budget(route, version)
        raise self._exhausted(amount, now)

    def room(self, amount: Decimal, now: datetime) -> Room:
        """Whether a call that costs at most `amount` may be made."""
        if self.frozen or not self.budget.could_fit(amount, now):
            return Room.NONE
        if not self.budget.has_room(amount, now):
            return Room.IN_FLIGHT
        if self.settings.shared_budget is None or self.purse.room(now) >= amount:
            return Room.FREE
        if not self.purse.dry(now):
            return Room.NOT_GRANTED
        return Room.IN_FLIGHT if self.purse.could_fit(amount, now) else Room.NONE

    @property
    def frozen(self) -> bool:
        """Whether an operator lets nothing be spent, by this task or by all."""
        return self.state.frozen or (self.settings.shared_budget is not None and self.state.grants.frozen)

    def _reserve(self, route: Route, request: TaskRequest, amount: Decimal, now: datetime) -> Route:
        lease = self.purse.lease(now) if self.settings.shared_budget else None
        if not self.budget.reserve(request.request_id, amount, now, lease.day if lease else None):
            raise self._exhausted(amount, now)
        return route.model_copy(update={"reserved": amount})

    def _may_coach(self, amount: Decimal, now: datetime) -> bool:
        if self.release < Release.V0_2:
            return True
        share = Decimal(str(self.settings.budget.coaching_share))
        shared = self.settings.shared_budget is not None
        return self.budget.has_room(amount, now, share) and not (shared and self.purse.tight(now))

    def _exhausted(self, amount: Decimal, now: datetime) -> BudgetExhausted:
        resets = [self.budget.next_room(amount, now), self.state.grants.resets if self.settings.shared_budget else None]
        latest = max((time for time in resets if time), default=None)
        no_calls = isinstance(self.budget, CallBudget) and not self.budget.left(now)
        return BudgetExhausted(amount, self.settings.budget.currency, latest, frozen=self.frozen, no_calls=no_calls)

    def close(self, outcome: RequestOutcome, now: datetime) -> None:
        """Account for a finished request."""
        state, route = self.state, outcome.route
        # In the remote answer's place may be one that was served before; what a local one cost is nobody's bill.
        paid = outcome.remote is not None and outcome.remote.source is Source.REMOTE
        cost = outcome.lost if outcome.remote is None else outcome.remote.cost if paid else Decimal(0)
        called = outcome.made or (outcome.remote is not None and not outcome.copied)
        self._pay(outcome, cost if called or cost else None, now)
        served_locally = outcome.error is None and outcome.remote is None
        state.requests += 1
        state.failed += outcome.error is not None
        state.local += served_locally
        sure = outcome.local.confidence if outcome.local is not None else None
        state.degraded += served_locally and route is not None and route.short(sure)
        state.deferred += route is not None and route.reason is RouteReason.DEFERRED
        state.copied += outcome.copied
        all_remote = cost
        if (served_locally or outcome.copied) and state.remote_calls:
            own = state.spend - state.opinions_spend - state.batches.spend
            all_remote += (own / state.remote_calls).quantize(COST_DIGITS)
        state.remote_calls += outcome.remote is not None and not outcome.copied
        state.all_remote += all_remote
        local_cost = outcome.local.cost.quantize(COST_DIGITS) if outcome.local else Decimal(0)
        state.local_cost += local_cost
        self.budget.record(now, local=served_locally, spend=cost, all_remote=all_remote, local_cost=local_cost)

    # --- batches -----------------------------------------------------------------------------------------------

    def batch_goes_on(self, now: datetime) -> bool:
        """Whether what is set aside now counts where the rest of the batch that is being collected does."""
        return self.budget.same(self.state.batches.key, now, self._lease_day(now))

    def fund_question(self, request: TaskRequest, now: datetime, *, coaches: bool) -> Decimal | Room:
        """Set aside what one more question of a batch can cost; if there is no room for it, what could change that.

        `coaches`: it leaves the last of a cap to what only the remote model can answer. Nobody waits for it, so it
        never waits for room either.
        """
        amount = batching.bound(self.settings, request)
        if self.settings.shared_budget:
            self.state.grants.call = max(amount, self.state.grants.call)
        if coaches and not self._may_coach(amount, now):
            return Room.NONE
        room = self.room(amount, now)
        if room is not Room.FREE:
            return room
        return amount if self.budget.add(self.state.batches.key, amount, now, self._lease_day(now)) else Room.NONE

    def close_batch(self, outcome: BatchOutcome, now: datetime) -> None:
        """Account for a batch: its money is settled at what it cost, the rest is given back."""
        key, state = batching.reservation_key(outcome.number), self.state
        held = state.ledger.reservations.get(key)
        doubtful = sum(outcome.in_doubt.values(), outcome.in_doubt_besides)
        cost = held.amount if outcome.lost and held is not None else outcome.cost + doubtful
        if held is None and not cost:
            return
        reservation = self.budget.settle(key, cost, now)
        self.purse.settle(reservation.lease, cost)
        state.spend += cost
        self.budget.record_spend(now, cost)
        state.batches.ended(outcome, cost)
        for request_id, amount in outcome.in_doubt.items():
            self._doubt(request_id, reservation.model_copy(update={"amount": amount}))

    def drop_batch(self) -> None:
        """What was collected is not sent: its money is given back."""
        self.budget.release(self.state.batches.key)

    def _lease_day(self, now: datetime) -> str | None:
        lease = self.purse.lease(now) if self.settings.shared_budget else None
        return lease.day if lease else None

    def close_replayed(self, outcome: RequestOutcome, now: datetime) -> None:
        """Account for a request that had been answered, and counted, before: only what was lost on the way is new.

        Unless the call had been given up as unknown: then the answer says what it cost.
        """
        if outcome.remote is not None and outcome.remote.source is Source.REMOTE and not outcome.copied:
            self.reconcile(outcome.request_id, outcome.remote.cost, now)
        self._pay(outcome, outcome.lost or None, now)
        self.state.all_remote += outcome.lost

    def set_aside(self, key: str, amount: Decimal, now: datetime) -> bool:
        """Reserve money under `key` for a call that can be done without; False if coaching could have none."""
        if self.room(amount, now) is not Room.FREE or not self._may_coach(amount, now):
            return False
        lease = self.purse.lease(now) if self.settings.shared_budget else None
        return self.budget.reserve(key, amount, now, lease.day if lease else None)

    def close_opinion(self, opinion: Opinion, now: datetime) -> None:
        """Account for a second opinion: spent, and no part of what asking for every answer would have cost."""
        paid = RequestOutcome(request_id=opinion.request_id, route=None, lost=opinion.cost, in_doubt=opinion.in_doubt)
        self._pay(paid, opinion.cost or None, now)
        self.state.opinions_spend += opinion.cost
        self.budget.record(now, local=False, spend=opinion.cost, all_remote=Decimal(0), requests=0)

    def reconcile(self, request_id: str, cost: Decimal, now: datetime) -> None:
        """The call of unknown outcome has cost so much after all. Nothing happens for one that is not in doubt."""
        doubt = self.state.ledger.unknown.pop(request_id, None)
        if doubt is None:
            return
        self.budget.correct(doubt, cost - doubt.amount, now)
        self.purse.settle(doubt.lease, cost - doubt.amount)
        self.state.spend += cost - doubt.amount

    def give_up(self, request_id: str, now: datetime) -> None:
        """Nobody knows what became of the request: if money was set aside for it, it is counted as spent."""
        reservation = self.state.ledger.reservations.get(request_id)
        if reservation is not None:
            amount = reservation.amount
            lost = RequestOutcome(request_id=request_id, route=None, lost=amount, in_doubt=amount)
            self._pay(lost, amount, now)

    def recover(self, spent: dict[str, Decimal], now: datetime) -> None:
        """Count what an earlier life of the task spent, by day."""
        self.budget.recover(spent, now)

    def unknown(self) -> Unknown:
        """The calls in doubt."""
        doubts = self.state.ledger.unknown.values()
        return Unknown(calls=len(doubts), upper_bound=sum((doubt.amount for doubt in doubts), Decimal(0)))

    def shortage(self, now: datetime) -> str | None:
        """What to tell when a cap turned a call away; None if it was told in this period."""
        caps = self.budget.status(now)
        periods = " ".join(f"{cap.period}:{cap.resets:%Y-%m-%d}" for cap in caps)
        lease = self.purse.lease(now) if self.settings.shared_budget else None
        periods += f" all:{lease.day if lease else now.date()}" if self.settings.shared_budget else ""
        calls = self.budget if isinstance(self.budget, CallBudget) else None
        periods += f" calls:{calls.key(now)}" if calls else ""
        if periods == self.state.budget_alerted:
            return None
        self.state.budget_alerted = periods
        amounts = ", ".join(f"{cap.period} {cap.settled + cap.reserved} of {cap.cap}" for cap in caps)
        if calls and not calls.left(now):
            return f"no remote call is left of the allowance of {self.settings.allowance.remote_calls}"
        whose = f": {amounts}" if amounts else ": the caps for all tasks"
        return f"a cap has no room for a remote call, or none to spend on coaching{whose}"

    def _pay(self, outcome: RequestOutcome, cost: Decimal | None, now: datetime) -> None:
        """End the request's reservation, if it has one: settled at `cost`, or given back when no call was made."""
        request_id = outcome.request_id
        if outcome.remote is not None and not outcome.replayed and not outcome.copied:
            self.reconcile(request_id, Decimal(0), now)  # an earlier try was in doubt: it is this answer that was paid
        if cost is None:
            self.budget.release(request_id)
            return
        reservation = self.budget.settle(request_id, cost, now)
        self.purse.settle(reservation.lease, cost)
        self.state.spend += cost
        if outcome.in_doubt:
            self._doubt(request_id, reservation.model_copy(update={"amount": outcome.in_doubt}))

    def _doubt(self, request_id: str, call: Reservation) -> None:
        """Keep it apart until it is reconciled; the oldest stay settled at their upper bound for good."""
        unknown = self.state.ledger.unknown
        before = unknown.pop(request_id, None)
        amount = call.amount + (before.amount if before else Decimal(0))
        unknown[request_id] = call.model_copy(update={"amount": amount})
        while len(unknown) > UNKNOWN_KEPT:
            del unknown[next(iter(unknown))]
