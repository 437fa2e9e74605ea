"""How an allowance stands, as operators see it. Reading changes nothing."""

from datetime import datetime

from apprentice.allowance.counting import CallBudget
from apprentice.budget import Budget
from apprentice.messages import AllowanceStatus
from apprentice.state import LifecycleState


def status(budget: Budget, now: datetime) -> AllowanceStatus | None:
    """None for a task without an allowance."""
    if not isinstance(budget, CallBudget):
        return None
    calls = budget.allowance.remote_calls or 0
    plan = budget.state
    return AllowanceStatus(
        calls=calls,
        taken=calls - budget.left(now),
        resets=budget.resets(now),
        defer_below=plan.defer_below if plan.version is not None else None,
    )


def explain(state: LifecycleState, standing: AllowanceStatus | None) -> str | None:
    """What a version that answers under an allowance does; None where none does."""
    plan, version = state.allowance, state.version
    if standing is None or plan is None or version is None:
        return None
    calls, taken = standing.calls, standing.taken
    if taken >= calls:
        return f"all {calls:,} remote calls of the allowance are taken; version {version} answers everything"
    return (
        f"version {version} answers, {taken:,} of {calls:,} remote calls of the allowance are taken; "
        f"{_bought(plan.defer_below, 0.0 if state.coaching_paused else plan.rate)}"
    )


def _bought(defer_below: float, rate: float) -> str:
    """Which requests the remote model gets."""
    if rate >= 1.0 or defer_below >= 1.0:
        return "everything goes to the remote model"
    if not defer_below:
        return f"{rate:.1%} of requests, chosen by chance, go to the remote model"
    others = f", and {rate:.1%} of requests by chance" if rate else ""
    return f"answers with a confidence below {defer_below:.2f} go to the remote model{others}"
