"""Counters and money of one task: what a request may cost before it is sent, what it did cost afterwards."""

from datetime import datetime
from decimal import Decimal

from apprentice import routing
from apprentice.budget import Budget
from apprentice.messages import RequestOutcome, Route, RouteReason, TaskRequest
from apprentice.prices import reservation
from apprentice.settings import TaskSettings
from apprentice.state import LifecycleState

COST_DIGITS = Decimal("0.000000001")


class BudgetExhausted(Exception):
    """No cap has room for the call and no local model can answer. `resets` is when it will fit again."""

    def __init__(self, amount: Decimal, currency: str, resets: datetime | None) -> None:
        when = f"; the next period begins {resets:%Y-%m-%d %H:%M} UTC" if resets else ""
        super().__init__(f"a call may cost up to {amount} {currency}, more than a cap has room for{when}")
        self.resets = resets


class Accounts:
    """Writes the counters of the state and its ledger; nothing else does."""

    def __init__(self, settings: TaskSettings, state: LifecycleState) -> None:
        self.settings = settings
        self.state = state
        self.budget = Budget(settings.budget, state.ledger)

    def apply(self, settings: TaskSettings, now: datetime) -> None:
        """Go on under other caps; what was spent counts on, also in another time zone."""
        self.settings = settings
        self.budget = self.budget.under(settings.budget, now)

    def fund(self, route: Route, request: TaskRequest, now: datetime) -> Route:
        """The route with its money set aside, or the local one where no cap has room. Raises `BudgetExhausted`."""
        if not route.remote:
            return route
        amount = reservation(self.settings, request.input)
        if self.budget.reserve(request.request_id, amount, now):
            return route.model_copy(update={"reserved": amount})
        if self.state.version is None:
            raise BudgetExhausted(amount, self.settings.budget.currency, self.budget.next_room(amount, now))
        return routing.without_budget(route, self.state.version)

    def close(self, outcome: RequestOutcome, now: datetime) -> None:
        """Account for a finished request."""
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

    def close_replayed(self, outcome: RequestOutcome, now: datetime) -> None:
        """Account for a request that had been answered, and counted, before: only what was lost on the way is new."""
        self._pay(outcome.request_id, outcome.lost or None, now)
        self.state.all_remote += outcome.lost

    def shortage(self, now: datetime) -> str | None:
        """What to tell when a cap turned a call away; None if it was told in this period."""
        caps = self.budget.status(now)
        periods = " ".join(f"{cap.period}:{cap.resets:%Y-%m-%d}" for cap in caps)
        if periods == self.state.budget_alerted:
            return None
        self.state.budget_alerted = periods
        amounts = ", ".join(f"{cap.period} {cap.settled + cap.reserved} of {cap.cap}" for cap in caps)
        return f"a cap has no room for a remote call: {amounts}"

    def _pay(self, request_id: str, cost: Decimal | None, now: datetime) -> None:
        """End the request's reservation, if it has one: settled at `cost`, or given back when no call was made."""
        if cost is None:
            self.budget.release(request_id)
            return
        self.budget.settle(request_id, cost, now)
        self.state.spend += cost
