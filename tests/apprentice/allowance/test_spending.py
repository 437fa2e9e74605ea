"""A task with an allowance: who is asked, how it is paced, and that the count holds."""

import random
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from apprentice.accounting import BudgetExhausted
from apprentice.allowance.spending import threshold
from apprentice.lifecycle import Lifecycle
from apprentice.messages import ApplySettings, ForceRemote, Phase, RequestOutcome, Route, RouteReason
from apprentice.settings import AllowanceSettings, BudgetSettings, TaskSettings
from apprentice.state import LifecycleState
from tests.apprentice.brain import (
    NEVER,
    T0,
    World,
    coached,
    comparisons,
    local_answer,
    remote_answer,
    request,
    task_settings,
)

DAY = timedelta(days=1)


def allowed(calls: int | None, **more: object) -> TaskSettings:
    return task_settings(local=NEVER).model_copy(update={"allowance": AllowanceSettings(remote_calls=calls), **more})


def world(calls: int, *, between: float = 60.0, known: int = 1000) -> World:
    """A version that is right as often as it is sure, at any level of sureness alike."""
    return World(
        coached(allowed(calls), examples=known),
        agrees=lambda confidence: confidence or 0.0,
        confidence=lambda rng: rng.random(),
        between=timedelta(seconds=between),
    )


def taken(one: World) -> int:
    return sum(route.remote for route in one.routes)


def test_without_an_allowance_nothing_changes() -> None:
    brain = coached(allowed(None))
    assert brain.policy(0.5, T0) == Route(remote=True, local=True, reason=RouteReason.COACHING, version=1)
    World(brain).send(20)
    assert brain.state.allowance is None
    assert brain.status(T0).allowance is None


def test_all_is_bought_until_there_is_a_version_then_a_version_may_answer_at_once() -> None:
    brain = Lifecycle(allowed(500))
    assert brain.policy(0.5, T0).reason is RouteReason.COLLECTING
    assert world(500).brain.policy(0.99, T0).local


def test_never_more_calls_than_allowed_with_a_hundred_requests_in_flight() -> None:
    brain, rng, routes = coached(allowed(37)), random.Random(0), []
    for number in range(100):
        route = brain.admit(request(number), rng.random(), T0)
        routes.append(route if route.remote else brain.defer(request(number), route, RouteReason.DEFERRED, T0))
    assert sum(route.remote for route in routes) == 37
    assert all(route.degraded for route in routes if not route.remote)


def test_a_call_that_failed_for_nothing_is_made_again() -> None:
    brain = coached(allowed(1))
    route = brain.admit(request(1), 0.5, T0)
    assert route.remote
    assert not brain.admit(request(2), 0.5, T0).remote
    brain.observe(RequestOutcome(request_id="r1", route=route, error="RemoteUnavailable"), T0)
    again = brain.admit(request(2), 0.99, T0)
    assert again.remote or brain.defer(request(2), again, RouteReason.DEFERRED, T0).remote


@pytest.mark.parametrize("error", [None, "OutcomeUnknown"])
def test_a_free_call_that_was_made_and_gave_no_answer_is_a_call(error: str | None) -> None:
    """It costs nothing, so money cannot tell it from one that was never made."""
    brain = coached(allowed(1))
    route = brain.admit(request(1), 0.5, T0)
    brain.observe(RequestOutcome(request_id="r1", route=route, local=local_answer(1), error=error, made=True), T0)
    assert brain.state.allowance is not None
    assert brain.state.allowance.taken == 1


def test_an_answer_out_of_the_cache_is_no_call() -> None:
    brain = coached(allowed(1))
    route = brain.admit(request(1), 0.5, T0)
    cached = remote_answer(cost=Decimal(0))
    brain.observe(RequestOutcome(request_id="r1", route=route, remote=cached, copied=True), T0)
    assert brain.state.allowance is not None
    assert brain.state.allowance.taken == 0


def test_without_a_version_a_spent_allowance_is_an_error_that_says_when_it_begins_anew() -> None:
    brain = Lifecycle(allowed(1))
    brain.admit(request(1), 0.5, T0)
    with pytest.raises(BudgetExhausted) as refused:
        brain.admit(request(2), 0.5, T0)
    assert refused.value.resets == datetime(2026, 3, 3, tzinfo=T0.tzinfo)
    assert "no remote call of the allowance is left" in str(refused.value)


def test_the_unsure_are_bought_and_a_day_is_spent_neither_early_nor_in_part() -> None:
    one = world(200)  # noon to midnight at one a minute: 720 requests
    counts = []
    for _ in range(12):
        one.send(60)
        counts.append(taken(one))
    assert counts[2] < 160
    assert 170 <= counts[-2] <= 200
    assert counts[-1] >= 195
    deferred = [score for route, score in zip(one.routes, one.scores, strict=True) if route.remote]
    assert sum(deferred) / len(deferred) < 0.35
    assert one.served_agreement() > 0.6


def test_the_next_day_has_an_allowance_of_its_own() -> None:
    one = world(100)
    one.send(719)
    assert taken(one) == 100
    one.send(1440)
    assert 195 <= taken(one) <= 200


def test_fewer_requests_than_forecast_leave_little_over_as_the_end_comes_near() -> None:
    one = world(100)
    one.send(300)
    one.between = timedelta(minutes=6)  # traffic all but stops
    one.send(69)
    assert taken(one) >= 80


def test_a_model_that_never_says_how_sure_it_is_is_paced_by_coin() -> None:
    one = world(200)
    one.confidence = lambda rng: None
    one.send(360)
    assert 60 <= taken(one) <= 140
    assert {route.reason for route in one.routes if route.remote} <= {RouteReason.SPOT_CHECK}


def test_coins_keep_some_comparisons_fair_and_their_propensity_is_recorded() -> None:
    one = world(200, between=1.0)
    one.send(5000)
    fair = [route for route in one.routes if route.remote and route.fair]
    assert fair
    assert all(0.0 < route.rate == route.propensity <= 1.0 for route in fair)


def test_answers_of_which_nothing_is_proven_are_degraded() -> None:
    brain = coached(allowed(200))
    route = brain.policy(0.99, T0)
    assert route.short(0.99)
    brain.state.phase, brain.state.defer_below = Phase.AUTONOMOUS, 0.7
    route = brain.policy(0.99, T0)
    assert route.short(0.69)
    assert not route.short(0.7)


def test_an_operator_who_wants_the_remote_model_gets_it_as_long_as_there_are_calls() -> None:
    brain = coached(allowed(3))
    brain.operate(ForceRemote(), T0)
    routes = [brain.admit(request(number), 0.5, T0) for number in range(5)]
    assert [route.remote for route in routes] == [True] * 3 + [False] * 2


def test_a_new_version_begins_with_what_it_was_sure_of_on_the_hold_out_set() -> None:
    one = world(500)
    one.send(100)
    one.brain.state.training, one.brain.state.fine_tunes = 2, 2
    one.end_fine_tune(comparisons(*[1.0] * 40, version=2, confidence=0.97))
    allowance = one.brain.state.allowance
    assert allowance is not None
    assert allowance.version == 2
    assert allowance.sure[-1] == 0.97
    assert len(allowance.sure) <= 64


def test_what_was_taken_survives_a_rollover_and_other_settings() -> None:
    one = world(50)
    one.send(400)
    spent = one.brain.state.allowance
    assert spent is not None
    assert len(spent.model_dump_json()) < 4096
    again = Lifecycle(one.brain.settings, LifecycleState.model_validate_json(one.brain.state.model_dump_json()))
    assert again.policy(0.99, one.now) == one.brain.policy(0.99, one.now)
    status = again.status(one.now).allowance
    assert status is not None
    assert status.taken == taken(one)
    again.operate(ApplySettings(settings=allowed(60)), one.now)
    more = again.status(one.now).allowance
    assert more is not None
    assert (more.calls, more.taken) == (60, taken(one))


def left(one: Lifecycle, now: datetime) -> int:
    allowance = one.status(now).allowance
    assert allowance is not None
    return allowance.calls - allowance.taken


def allowing(calls: int | None, period: str = "daily", zone: str = "UTC") -> ApplySettings:
    allowance = AllowanceSettings.model_validate({"remote_calls": calls, "period": period})
    return ApplySettings(settings=allowed(calls, allowance=allowance, budget=BudgetSettings(timezone=zone)))


def called(one: Lifecycle, first: int, calls: int, now: datetime) -> None:
    """So many more calls are made; nobody has the answers yet."""
    one.operate(ForceRemote(), now)
    assert all(one.admit(request(first + number), 0.5, now).remote for number in range(calls))


def test_an_allowance_that_is_switched_off_and_on_again_forgets_no_call_of_its_period() -> None:
    one = Lifecycle(allowed(10))
    called(one, 0, 4, T0)
    one.operate(allowing(None), T0)
    called(one, 10, 3, T0)
    one.operate(allowing(10), T0)
    assert left(one, T0) == 3
    assert left(one, T0 + DAY) == 10


def test_a_call_that_was_reserved_while_there_was_no_allowance_is_given_back_once_and_gives_no_other() -> None:
    one = Lifecycle(allowed(None))
    route = one.admit(request(1), 0.5, T0)
    one.operate(allowing(10), T0)
    called(one, 10, 1, T0)
    one.observe(RequestOutcome(request_id="r1", route=route, error="RemoteUnavailable"), T0)
    assert left(one, T0) == 9


def test_another_period_counts_the_calls_of_that_period_and_another_time_zone_is_no_second_allowance() -> None:
    one = Lifecycle(allowed(20))
    called(one, 0, 4, T0)
    called(one, 10, 3, T0 + DAY)
    one.operate(allowing(20, "monthly"), T0 + DAY)
    assert left(one, T0 + DAY) == 13
    one.operate(allowing(20, "daily"), T0 + DAY)
    assert left(one, T0 + DAY) == 17
    one.operate(allowing(20, "weekly"), T0 + DAY)
    assert left(one, T0 + DAY) == 13
    one.operate(allowing(20, "daily", "Asia/Tokyo"), T0 + DAY)
    assert left(one, T0 + DAY) == 17
    later = T0 + DAY + timedelta(hours=4)  # in Tokyo the next day has begun, in UTC it has not
    assert left(one, later) == 20
    one.operate(allowing(20, "daily"), later)
    assert left(one, later) == 17


def test_status_says_what_is_left_and_who_is_asked() -> None:
    one = world(200)
    one.send(30)
    assert "of 200 remote calls of the allowance are taken" in one.brain.status(one.now).explanation


def test_status_says_what_a_coin_buys_where_the_local_model_never_says_how_sure_it_is() -> None:
    one = world(40)
    one.confidence = lambda rng: None
    one.send(20)
    assert one.brain.state.allowance is not None
    rate = one.brain.state.allowance.rate
    said = one.brain.status(one.now).explanation
    assert said.endswith(f"{rate:.1%} of requests, chosen by chance, go to the remote model")


def test_status_after_the_period_says_that_no_call_of_the_new_one_is_taken() -> None:
    one = world(20)
    one.send(300)
    assert f"answers, {taken(one)} of 20 remote calls" in one.brain.status(one.now).explanation
    assert "answers, 0 of 20 remote calls" in one.brain.status(one.now + DAY).explanation


@pytest.mark.parametrize(
    ("sure", "share", "expected"),
    [
        ([0.1, 0.2, 0.3, 0.4], 0.5, (0.2, 0.0)),
        ([0.1, 0.2, 0.3, 0.4], 0.625, (0.25, 0.0)),
        ([0.1, 0.5, 0.5, 0.5], 0.5, (0.5, 1 / 3)),
        ([0.9] * 10, 0.2, (0.9, 0.2)),
        ([0.3, 0.6], 1.0, (1.0, 1.0)),
        ([0.3, 0.6], 0.0, (0.0, 0.0)),
    ],
)
def test_a_threshold_buys_a_share_of_the_least_sure(
    sure: list[float], share: float, expected: tuple[float, float]
) -> None:
    assert threshold(sure, share) == pytest.approx(expected)


def test_comparing_what_a_replaced_version_said_changes_nothing() -> None:
    one = world(100)
    one.send(50)
    allowance = one.brain.state.allowance
    assert allowance is not None
    before = list(allowance.sure)
    route = one.brain.policy(0.99, one.now)
    late = RequestOutcome(request_id="late", route=route, local=local_answer(0, 0.2))
    one.brain.observe(late, one.now)
    assert allowance.sure == before
