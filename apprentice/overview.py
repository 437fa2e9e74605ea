"""How a task stands, as operators see it. Reading changes nothing."""

from datetime import datetime

from apprentice import gold, opinions, routing, troubles
from apprentice.accounting import Accounts
from apprentice.allowance import overview as allowance
from apprentice.confidence import window
from apprentice.explanation import explain
from apprentice.messages import HistoryPoint, Interval, Phase, TaskStatus
from apprentice.quality.promise import promise
from apprentice.release import Release
from apprentice.settings import TaskSettings
from apprentice.state import LifecycleState

COPIED = {
    *("requests", "local", "deferred", "degraded", "failed", "copied", "examples", "holdout", "version"),
    *("training", "coaching_paused", "spend", "all_remote", "local_cost", "versions"),
    "alerts",
}


def status(
    state: LifecycleState, settings: TaskSettings, accounts: Accounts, correlation: Interval | None, now: datetime
) -> TaskStatus:
    """Everything there is to know at this time."""
    forced = routing.forced(state, now)
    promised = promise(state, settings) if accounts.release >= Release.V0_4 else None
    teachers_agree = opinions.agreement(state)
    standing = allowance.status(accounts.budget, now)
    return TaskStatus(
        task=settings.name,
        explanation=explain(state, settings, correlation, promised, forced=forced, standing=standing),
        at=now,
        phase=state.phase,
        correlation=correlation,
        promise=promised,
        trend=window.trend(state.window),
        sampling_rate=_sampling_rate(state, settings),
        forced_remote=forced,
        forced_until=state.forced_until if forced else None,
        currency=settings.budget.currency,
        caps=accounts.budget.status(now),
        allowance=standing,
        unknown=accounts.unknown(),
        frozen=accounts.frozen,
        outage=state.health.outage,
        lease=accounts.purse.lease(now),
        troubled=troubles.present(state.troubled),
        teachers_agree=teachers_agree,
        teacher_error=gold.teacher_error(teachers_agree),
        gold=gold.status(state.gold),
        schema_version=settings.schema_version,
        batch=state.batches.status(),
        days=list(state.ledger.days.values()),
        **{name: getattr(state, name) for name in COPIED},
    )


def _sampling_rate(state: LifecycleState, settings: TaskSettings) -> float:
    if settings.allowance.remote_calls is not None and state.allowance is not None and state.version is not None:
        return 0.0 if state.coaching_paused else state.allowance.rate
    return 0.0 if state.coaching_paused and state.phase is Phase.AUTONOMOUS else state.rate


def point(state: LifecycleState, correlation: Interval | None, now: datetime) -> HistoryPoint:
    """One point of the story."""
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
