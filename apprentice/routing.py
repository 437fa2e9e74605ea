"""Where a request would go if money were no object: the policy of each phase."""

from datetime import datetime

from apprentice.messages import Phase, Route, RouteReason
from apprentice.state import LifecycleState


def forced(state: LifecycleState, now: datetime) -> bool:
    """Whether an operator's order sends everything to the remote model at this time."""
    return state.forced and (state.forced_until is None or now < state.forced_until)


def policy(state: LifecycleState, coin: float, now: datetime) -> Route:
    """The route of one request; `coin` is uniform in [0, 1)."""
    version, can_answer = state.version, state.version is not None
    if forced(state, now):
        return Route(remote=True, local=can_answer, reason=RouteReason.FORCED, version=version)
    match state.phase:
        case Phase.COLLECTING:
            return Route(remote=True, local=False, reason=RouteReason.COLLECTING)
        case Phase.COACHING:
            return Route(remote=True, local=can_answer, reason=RouteReason.COACHING, version=version)
        case Phase.AUTONOMOUS:
            rate = 0.0 if state.coaching_paused else state.rate
            return by_coin(coin, rate, version, defer_below=state.defer_below)


def by_coin(coin: float, rate: float, version: int | None, *, defer_below: float, proven: float = 0.0) -> Route:
    """A version answers, and the coin, uniform in [0, 1), picks a share `rate` of the requests for a check."""
    check = coin < rate
    return Route(
        remote=check,
        local=True,
        reason=RouteReason.SPOT_CHECK if check else RouteReason.AUTONOMOUS,
        propensity=rate,
        rate=rate,
        version=version,
        defer_below=defer_below,
        proven=proven,
    )


def without_budget(route: Route, version: int) -> Route:
    """The route of a request whose remote call no cap has room for: the local model serves, however unsure."""
    return Route(
        remote=False, local=True, reason=RouteReason.BUDGET, propensity=route.propensity, degraded=True, version=version
    )
