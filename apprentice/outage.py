"""Outages of the local model: told once when one begins and once when it is over, however it stutters in between.

A version that cannot be served is an outage at once; a time-out or a bad answer may be one input's fault, so it takes
some in a row. It is over after some answers in a row, and after more of them each time that it breaks down again soon:
a server that answers every second request would otherwise raise two alerts for each handful of requests.
"""

from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict

from apprentice.messages import Outage, RequestOutcome, RouteReason

IN_A_ROW = 3
SOONER = {"ModelUnavailable": 1, "ServerDown": 2}
"""Failures that are an outage sooner. A server counts as dead for its adapter, too, after two."""
NOT_ITS_FAULT = {"RequestIdReused", "SettingsUnknown"}
"""Errors of the request or of the store, found before the model was asked."""
LAPSE = timedelta(hours=1)
MOST_ANSWERS = 16 * IN_A_ROW

WORDS = {
    "ServerDown": "its server does not answer",
    "TimedOut": "it does not answer in time",
    "ServerBusy": "more requests wait for it than may",
    "ModelUnavailable": "its version cannot be served",
    "BadAnswer": "its answers cannot be used",
}


class LocalHealth(BaseModel):
    """How the local model has answered lately; part of the lifecycle's state.

    `failures` and `answers` count in a row. `failing_since` is the first failure of the row, `down_since` that of an
    outage that was told. `patience` is how many answers end one, `back_at` when the last one ended.
    """

    model_config = ConfigDict(extra="forbid")

    failures: int = 0
    answers: int = 0
    error: str = ""
    failing_since: datetime | None = None
    down_since: datetime | None = None
    patience: int = IN_A_ROW
    back_at: datetime | None = None

    @property
    def outage(self) -> Outage | None:
        """The outage that holds now."""
        return Outage(since=self.down_since, error=self.error) if self.down_since else None


def notice(health: LocalHealth, outcome: RequestOutcome, now: datetime) -> str | None:
    """Learn from a request how the local model is; what to tell an operator, if this begins or ends an outage."""
    if outcome.local_error is not None and outcome.local_error not in NOT_ITS_FAULT:
        return _failed(health, outcome.local_error, now)
    return _answered(health, now) if outcome.local is not None else None


def first_of_version(failed_version: int | None, outcome: RequestOutcome) -> int | None:
    """The version that fails for the first time: all that runs begun before 0.3 tell of."""
    route = outcome.route
    failed = route is not None and route.reason is RouteReason.LOCAL_FAILED and route.version != failed_version
    return route.version if route is not None and failed else None


def words(outage: Outage) -> str:
    """`the local model does not answer since 2026-03-02 12:03 UTC (ServerDown: its server does not answer)`."""
    why = f"{outage.error}: {WORDS[outage.error]}" if outage.error in WORDS else outage.error
    return f"the local model does not answer since {outage.since:%Y-%m-%d %H:%M} UTC ({why})"


def _failed(health: LocalHealth, error: str, now: datetime) -> str | None:
    health.failing_since = health.failing_since or now
    health.failures, health.answers, health.error = health.failures + 1, 0, error
    if health.down_since or health.failures < SOONER.get(error, IN_A_ROW):
        return None
    again = health.back_at is not None and now - health.back_at < LAPSE
    health.patience = min(MOST_ANSWERS, 2 * health.patience) if again else IN_A_ROW
    health.down_since = health.failing_since
    return f"{words(Outage(since=health.down_since, error=error))}; its requests go to the remote model within budget"


def _answered(health: LocalHealth, now: datetime) -> str | None:
    health.failures, health.failing_since = 0, None
    if not health.down_since:
        return None
    health.answers += 1
    if health.answers < health.patience:
        return None
    lasted, health.down_since, health.back_at = now - health.down_since, None, now
    return f"the local model answers again, after {max(1, round(lasted.total_seconds() / 60))} min"
