"""Which requests an allowance is spent on: part of a task's brain.

As soon as there is a version it may answer. Every request is put to it first; the remote model gets those of which it
is least sure, so many of them as `planning` says, and a few by coin: fair comparisons and hold-out examples, for all
that has to be judged by them.
"""

from bisect import bisect_left
from collections.abc import Sequence
from datetime import datetime

from apprentice.accounting import Accounts
from apprentice.allowance import arrivals
from apprentice.allowance.counting import CallBudget
from apprentice.allowance.planning import Plan
from apprentice.allowance.state import AllowanceState
from apprentice.messages import Phase, RequestOutcome, Route, RouteReason
from apprentice.routing import by_coin

EXPLORED = 0.05
"""Of the calls, the share that a coin spends. It costs well under 1% more errors; without it no version could be
judged on fair examples."""
NEWEST = 256
CARRIED = 32
"""Of the confidences of another version: what a new one begins with, until its own take their place."""
FIRST_PLANS = 8
PLAN_EVERY = 50
LAST_PLANS = 10


class Spending:
    """Over a task's accounts, whose state remembers the allowance. It does nothing for a task without one."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    @property
    def _budget(self) -> CallBudget | None:
        budget = self._accounts.budget
        return budget if isinstance(budget, CallBudget) else None

    def route(self, coin: float, now: datetime) -> Route | None:
        """Where a request goes; None where no allowance is in force. `coin` is uniform in [0, 1)."""
        budget, state = self._budget, self._accounts.state
        if budget is None:
            return None
        if state.version is None:
            return Route(remote=True, local=False, reason=RouteReason.COLLECTING)
        spent, plan = budget.left(now) == 0, budget.state
        rate = 0.0 if spent or state.coaching_paused else plan.rate
        return by_coin(
            coin,
            rate,
            state.version,
            defer_below=0.0 if spent else plan.defer_below,
            proven=state.defer_below if state.phase is Phase.AUTONOMOUS else 1.0,
        )

    def note(self, outcome: RequestOutcome, now: datetime) -> None:
        """Take in a request that was answered, or was not."""
        budget, local = self._budget, outcome.local
        if budget is None:
            return
        budget.roll(now)
        plan = budget.state
        arrivals.note(plan, now, budget.resets(now))
        if local is None or local.version is None or local.version != self._accounts.state.version:
            return
        self._renew(plan)
        plan.seen += 1
        if local.confidence is not None:
            plan.sure = [*plan.sure, round(local.confidence, 4)][-NEWEST:]

    def due(self, now: datetime) -> None:
        """Plan anew, where that is due: for another version, in another period, after some requests."""
        budget = self._budget
        if budget is None or self._accounts.state.version is None:
            return
        plan = budget.state
        begun = budget.roll(now)
        renewed = self._renew(plan)
        left = arrivals.left(plan, now, budget.resets(now))
        interval = min(PLAN_EVERY, max(FIRST_PLANS, plan.seen), max(1.0, left / LAST_PLANS))
        if begun or renewed or plan.planned < 0 or plan.seen - plan.planned >= interval:
            self._plan(budget, now)

    def _renew(self, plan: AllowanceState) -> bool:
        """Begin with another version: with what it was sure of on the hold-out set, it has answered nothing else."""
        state = self._accounts.state
        if plan.version == state.version:
            return False
        held = [comparison.confidence for comparison in state.window if comparison.version == state.version]
        known = [round(confidence, 4) for confidence in held if confidence is not None]
        plan.sure = [*plan.sure[-CARRIED:], *known[-CARRIED:]]
        plan.version, plan.seen, plan.planned = state.version, 0, -1
        return True

    def _plan(self, budget: CallBudget, now: datetime) -> None:
        plan, state = budget.state, self._accounts.state
        calls, requests = budget.left(now), arrivals.left(plan, now, budget.resets(now))
        plan.planned = plan.seen
        even = min(1.0, calls / requests)
        if not plan.sure:
            plan.defer_below, plan.rate = 0.0, even  # a model that never says how sure it is
            return
        share = Plan(
            doubts=[1.0 - sure for sure in plan.sure],
            examples=state.examples - state.holdout,
            calls=calls,
            requests=requests,
            kept=1.0 - self._accounts.settings.local.holdout_fraction,
        ).share()
        plan.defer_below, coin = threshold(plan.sure, share)
        plan.rate = max(coin, min(1.0, EXPLORED * even))


def threshold(sure: Sequence[float], share: float) -> tuple[float, float]:
    """The confidence below which this share of a sample lies, and the chance of a coin that buys what is missing.

    Between two confidences the threshold is interpolated; where many are equal, those below it are fewer than the
    share, and the coin chooses the rest.
    """
    ordered, size = sorted(sure), len(sure)
    if share >= 1.0:
        return 1.0, 1.0
    place = share * size
    whole = int(place)
    above, below = ordered[whole], ordered[whole - 1] if whole else 0.0
    if ordered.count(above) == 1:
        return below + (place - whole) * (above - below), 0.0
    less = bisect_left(ordered, above)
    return above, (place - less) / (size - less)
