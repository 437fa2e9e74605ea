"""Where a request goes in each phase, before money is asked."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apprentice.messages import Phase, Route, RouteReason
from apprentice.routing import forced, policy, without_budget
from apprentice.state import LifecycleState
from tests.apprentice.brain import T0

coins = st.floats(0.0, 1.0, exclude_max=True)


@given(coins)
def test_collecting_asks_the_remote_model_only(coin: float) -> None:
    route = policy(LifecycleState(), coin, T0)
    assert (route.remote, route.local, route.reason) == (True, False, RouteReason.COLLECTING)


@given(coins)
def test_coaching_shadows_every_request(coin: float) -> None:
    route = policy(LifecycleState(phase=Phase.COACHING, version=3), coin, T0)
    assert (route.remote, route.local, route.version, route.propensity) == (True, True, 3, 1.0)


@given(coins, st.floats(0.001, 1.0))
def test_autonomy_checks_exactly_the_coins_below_the_rate(coin: float, rate: float) -> None:
    route = policy(LifecycleState(phase=Phase.AUTONOMOUS, version=3, rate=rate, defer_below=0.4), coin, T0)
    assert route.local
    assert route.remote == (coin < rate)
    assert (route.propensity, route.defer_below) == (rate, 0.4)


@given(coins)
def test_paused_coaching_checks_nothing(coin: float) -> None:
    state = LifecycleState(phase=Phase.AUTONOMOUS, version=3, rate=1.0, coaching_paused=True)
    assert policy(state, coin, T0).reason is RouteReason.AUTONOMOUS


@pytest.mark.parametrize("phase", list(Phase))
def test_a_forced_remote_ends_at_its_time_in_every_phase(phase: Phase) -> None:
    until = T0 + timedelta(hours=1)
    state = LifecycleState(phase=phase, version=1, rate=0.02, forced=True, forced_until=until)
    before, after = until - timedelta(seconds=1), until
    assert policy(state, 0.9, before).reason is RouteReason.FORCED
    assert policy(state, 0.9, before).remote
    assert policy(state, 0.9, after).reason is not RouteReason.FORCED
    assert not forced(state, after)


def test_a_forced_remote_without_a_time_lasts() -> None:
    assert forced(LifecycleState(forced=True), T0 + timedelta(days=3650))


def test_without_budget_the_local_model_serves_however_unsure() -> None:
    wanted = Route(remote=True, local=True, reason=RouteReason.SPOT_CHECK, propensity=0.1, version=1, defer_below=0.9)
    route = without_budget(wanted, 2)
    assert (route.remote, route.local, route.degraded, route.version, route.defer_below) == (False, True, True, 2, 0.0)


def test_a_request_that_the_local_model_was_unsure_of_or_failed_on_is_no_fair_draw() -> None:
    unfair = {reason for reason in RouteReason if not Route(remote=True, local=True, reason=reason).fair}
    assert unfair == {RouteReason.DEFERRED, RouteReason.LOCAL_FAILED}
