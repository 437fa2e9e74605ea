"""How an allowance stands, as operators see it. Reading changes nothing."""

from datetime import datetime

from apprentice.allowance.counting import CallBudget
from apprentice.budget import Budget
from apprentice.messages import AllowanceStatus
from apprentice.settings import TaskSettings
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


def explain(state: LifecycleState, settings: TaskSettings) -> str | None:
    """What a version that answers under an allowance does; None where none does."""
    calls, plan = settings.allowance.remote_calls, state.allowance
    if calls is None or plan is None or state.version is None:
        return None
    if plan.taken >= calls:
        return f"all {calls:,} remote calls of the allowance are taken; version {state.version} answers everything"
    return (
        f"version {state.version} answers, {plan.taken:,} of {calls:,} remote calls of the allowance are taken; "
        f"answers with a confidence below {plan.defer_below:.2f} go to the remote model"
    )
