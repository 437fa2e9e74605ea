"""Outages of the local model: one alert when one begins, one when it is over, and no storm of them."""

import random
from datetime import timedelta
from decimal import Decimal

import pytest

from apprentice.messages import AlertKind, Phase, RequestOutcome, RouteReason
from apprentice.outage import LAPSE, MOST_ANSWERS, LocalHealth, notice
from tests.apprentice.brain import (
    T0,
    World,
    autonomous,
    coached,
    comparisons,
    local_answer,
    remote_answer,
    request,
)

MINUTE = timedelta(minutes=1)


def failing(error: str) -> RequestOutcome:
    return RequestOutcome(request_id="r", route=None, remote=remote_answer(), local_error=error)


ANSWERED = RequestOutcome(request_id="r", route=None, local=local_answer(1))
NOT_ASKED = RequestOutcome(request_id="r", route=None, remote=remote_answer())


def told(health: LocalHealth, *outcomes: RequestOutcome) -> list[str]:
    """What is told, one outcome a minute."""
    said = [notice(health, outcome, T0 + number * MINUTE) for number, outcome in enumerate(outcomes)]
    return [words for words in said if words]


@pytest.mark.parametrize(
    ("error", "before"),
    [("ModelUnavailable", 0), ("ServerDown", 1), ("TimedOut", 2), ("BadAnswer", 2), ("ServerBusy", 2), ("KeyError", 2)],
)
def test_an_outage_is_told_once_after_some_failures_in_a_row(error: str, before: int) -> None:
    health = LocalHealth()
    assert told(health, *[failing(error)] * before) == []
    assert health.outage is None
    said = told(health, *[failing(error)] * 50)
    assert len(said) == 1
    assert "the local model does not answer since 2026-03-02 12:00 UTC" in said[0]
    assert error in said[0]
    assert health.outage is not None
    assert health.outage.since == T0


def test_answers_between_failures_are_no_outage() -> None:
    assert told(LocalHealth(), *[failing("TimedOut"), failing("TimedOut"), ANSWERED] * 100) == []


def test_requests_that_did_not_ask_the_local_model_say_nothing() -> None:
    health = LocalHealth()
    assert len(told(health, failing("TimedOut"), NOT_ASKED, failing("TimedOut"), NOT_ASKED, failing("TimedOut"))) == 1
    assert told(health, *[NOT_ASKED] * 100) == []


@pytest.mark.parametrize("error", ["RequestIdReused", "SettingsUnknown"])
def test_errors_that_are_the_requests_own_are_no_outage(error: str) -> None:
    assert told(LocalHealth(), *[failing(error)] * 10) == []


def test_it_is_told_once_that_it_is_back() -> None:
    health = LocalHealth()
    told(health, *[failing("ServerDown")] * 10)
    assert told(health, *[ANSWERED] * 2) == []
    assert told(health, *[ANSWERED] * 100) == ["the local model answers again, after 1 min"]
    assert health.outage is None


def test_a_server_that_answers_now_and_then_raises_a_handful_of_alerts_in_an_hour_not_hundreds() -> None:
    rng, health, said = random.Random(0), LocalHealth(), 0
    for second in range(3600):
        outcome = failing("TimedOut") if rng.random() < 0.5 else ANSWERED
        said += notice(health, outcome, T0 + timedelta(seconds=second)) is not None
    assert 2 <= said <= 8


def test_after_a_quiet_hour_it_is_back_as_soon_as_the_first_time() -> None:
    health, now = LocalHealth(), T0
    for _ in range(10):
        for outcome in [failing("ServerDown")] * 2 + [ANSWERED] * MOST_ANSWERS:
            notice(health, outcome, now)
        assert health.outage is None
    assert health.patience == MOST_ANSWERS
    now += LAPSE
    for outcome in [failing("ServerDown")] * 2 + [ANSWERED] * 3:
        notice(health, outcome, now)
    assert health.outage is None


def send(world: World, error: str | None, number: int) -> None:
    """One request of phase 2 or 3, whose local answer fails if `error`."""
    brain, asked = world.brain, request(number)
    route = brain.admit(asked, 0.999, world.now)
    if error and not route.remote:
        route = brain.defer(asked, route, RouteReason.LOCAL_FAILED, world.now)
    outcome = RequestOutcome(
        request_id=asked.request_id,
        route=route,
        remote=remote_answer() if route.remote else None,
        local=None if error else local_answer(route.version, 1.0),
        local_error=error,
    )
    world.act(brain.observe(outcome, world.now))


@pytest.mark.parametrize("phase", [Phase.COACHING, Phase.AUTONOMOUS])
def test_an_outage_is_an_alert_and_in_the_status_and_ends_with_another_in_both_phases(phase: Phase) -> None:
    brain = coached() if phase is Phase.COACHING else autonomous(comparisons(*[1.0] * 100))
    world = World(brain)
    for number in range(10):
        send(world, "ServerDown", number)
    status = brain.status(T0)
    assert [alert.kind for alert in world.alerts] == [AlertKind.LOCAL]
    assert status.phase is phase
    assert status.outage is not None
    assert status.outage.error == "ServerDown"
    assert "does not answer since 2026-03-02 12:00 UTC (ServerDown: its server does not answer)" in status.explanation
    assert "go to the remote model within budget" in status.explanation
    for number in range(10, 20):
        send(world, None, number)
    assert [alert.kind for alert in world.alerts] == [AlertKind.LOCAL] * 2
    assert "answers again" in world.alerts[1].message
    assert brain.status(T0).outage is None


def test_what_the_local_model_costs_is_summed_up_and_counted_against_no_cap() -> None:
    brain = autonomous(comparisons(*[1.0] * 100))
    for number in range(4):
        route = brain.admit(request(number), 0.999, T0)
        answer = local_answer(route.version, 1.0).model_copy(update={"cost": Decimal("0.0001000004")})
        brain.observe(RequestOutcome(request_id=f"r{number}", route=route, local=answer), T0)
    status = brain.status(T0)
    assert status.local_cost == Decimal("0.0004")
    assert status.spend == 0
    assert status.days[-1].local_cost == status.local_cost
    assert status.savings == status.all_remote - status.local_cost
    assert status.days[-1].savings == status.savings
