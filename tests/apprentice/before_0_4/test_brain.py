"""The brain as a whole by the rules before 0.4: runs that began under them go on under them."""

import random

import pytest

from apprentice.lifecycle import Lifecycle
from apprentice.messages import (
    AlertKind,
    ApplySettings,
    Comparison,
    Phase,
    RaiseAlert,
    RequestOutcome,
    Retrain,
    RouteReason,
)
from apprentice.release import Release
from apprentice.settings import ConfidenceThresholds, SamplingSettings, TaskSettings
from tests.apprentice.brain import (
    NEVER,
    T0,
    World,
    autonomous,
    check,
    coached,
    comparisons,
    remote_answer,
    request,
    task_settings,
    validated,
)


def before(compared: list[Comparison], settings: TaskSettings | None = None) -> Lifecycle:
    """A brain in phase 3 by the rules of 0.3."""
    return autonomous(compared, settings, release=Release.V0_3)


def test_an_emergency_restarts_the_window_alerts_and_retrains() -> None:
    world = World(before(comparisons(*[1.0] * 40, confidence=1.0)))
    world.agrees = lambda confidence: 0.1
    while world.brain.state.phase is Phase.AUTONOMOUS:
        world.send()
    state = world.brain.state
    assert (state.phase, state.rate, state.window, state.shift) == (Phase.COACHING, 1.0, [], 0.0)
    assert [alert.kind for alert in world.alerts][-1] is AlertKind.QUALITY
    assert "back to the remote model" in world.alerts[-1].message
    assert len(world.started) == 1
    assert world.brain.admit(request(0), 0.999, world.now).remote


def test_the_lower_bound_stands_for_the_mean_until_the_window_is_full() -> None:
    few, many = before(comparisons(*[1.0] * 40)), before(comparisons(*[1.0] * 100))
    assert few.state.rate > 0.1
    assert many.state.rate == pytest.approx(0.02)
    assert few.state.rate_anchor == pytest.approx(few.status(T0).correlation.low)  # type: ignore[union-attr]


def test_a_promotion_with_a_full_window_of_the_same_quality_is_no_jump() -> None:
    held_out = comparisons(*[1.0] * 95, *[0.0] * 5)
    brain = before(held_out)
    rate = brain.state.rate
    brain.operate(Retrain(), T0)
    brain.observe(validated(2, [c.model_copy(update={"version": 2}) for c in held_out]), T0)
    assert brain.state.rate == rate < 0.1


def test_below_the_coaching_trigger_everything_is_compared_one_alert_is_raised_and_one_retraining_started() -> None:
    world = World(before(comparisons(*[1.0] * 80, confidence=1.0)), agrees=lambda confidence: 0.6)
    while not world.brain.state.coaching:
        world.send()
    assert (world.brain.state.rate, world.brain.state.phase) == (1.0, Phase.AUTONOMOUS)
    assert [a.kind for a in world.alerts] == [AlertKind.QUALITY]
    assert [s.request.reason for s in world.started] == [world.alerts[0].message.split(";")[0]]
    world.agrees = lambda confidence: 0.8
    world.send(100)
    assert len(world.alerts) == 1


def test_a_correlation_that_hovers_at_the_trigger_alerts_and_retrains_once() -> None:
    world = World(before(comparisons(*[1.0, 0.0, 1.0] * 34, confidence=1.0)))
    world.agrees = lambda confidence: 0.7
    for _ in range(15):
        world.send(100)
        if world.brain.state.training:
            world.end_fine_tune(comparisons(*[0.0] * 5), promoted=False)
    triggered = [a for a in world.alerts if "coaching_trigger" in a.message]
    assert len(triggered) <= 1
    assert len(world.started) <= 7  # that one, and one for each growth of the data set by a fifth


def test_one_failed_spot_check_at_the_floor_counts_for_one_comparison() -> None:
    """Weighted by its propensity it would count for fifty, and take a mean of 1.00 below the coaching trigger."""
    brain = before(comparisons(*[1.0] * 100, confidence=0.9))
    assert check(brain, 1, coin=0.0, score=0.0, confidence=0.9).propensity == pytest.approx(0.02)
    correlation = brain.status(T0).correlation
    assert correlation is not None
    assert correlation.mean == pytest.approx(0.99)
    assert not brain.state.coaching


def test_the_measured_correlation_is_within_two_points_while_sampling_and_deferral_adapt() -> None:
    """Unsure answers (15%, right 30% of the time) are deferred, sure ones (97%) spot-checked: the truth is 0.87."""
    estimates, compared = [], []
    for seed in range(6):
        window = comparisons(*[1.0] * 97, *[0.0] * 3, confidence=0.97) + comparisons(*[0.0] * 17, confidence=0.3)
        sampling = SamplingSettings(window_size=200, trend_sensitivity=0.02)
        world = World(
            before(window, task_settings(local=NEVER, sampling=sampling)),
            confidence=lambda rng: 0.97 if rng.random() < 0.85 else 0.3,
            agrees=lambda confidence: confidence or 0.0,
            rng=random.Random(seed),
        )
        world.send(1000)
        for _ in range(15):
            world.send(200)
            measured = world.brain.status(world.now).correlation
            assert measured is not None
            estimates.append(measured.mean)
        compared += [s for r, s in zip(world.routes, world.scores, strict=True) if r.remote]
    truth = 0.85 * 0.97 + 0.15 * 0.3
    assert sum(estimates) / len(estimates) == pytest.approx(truth, abs=0.02)
    assert sum(compared) / len(compared) < truth - 0.03  # what counting every comparison would say


def test_other_settings_are_in_force_at_once() -> None:
    brain = before(comparisons(*[1.0] * 95, *[0.0] * 5))
    rate = brain.state.rate
    changed = task_settings(local=NEVER, sampling=SamplingSettings(window_size=20, min_floor=0.3))
    brain.operate(ApplySettings(settings=changed), T0)
    assert len(brain.state.window) == 20
    assert brain.state.rate == pytest.approx(1.0)  # the newest 20 hold 5 failures: 0.75
    assert rate < 0.3
    stricter = ConfidenceThresholds(emergency_threshold=0.8, coaching_trigger=0.85, phase2_to_phase3=0.9)
    (alert,) = brain.operate(ApplySettings(settings=task_settings(local=NEVER, thresholds=stricter)), T0)
    assert isinstance(alert, RaiseAlert)
    assert (brain.state.phase, brain.state.window) == (Phase.COACHING, [])


def test_runs_begun_before_0_3_report_a_local_model_that_cannot_answer_once_for_each_version() -> None:
    brain = before(comparisons(*[1.0] * 100))
    brain.accounts.release = Release.V0_2
    world = World(brain)
    for number in range(5):
        route = brain.admit(request(number), 0.99, T0)
        route = brain.defer(request(number), route, RouteReason.LOCAL_FAILED, T0)
        world.act(brain.observe(RequestOutcome(request_id=f"r{number}", route=route, remote=remote_answer()), T0))
    assert [alert.kind for alert in world.alerts] == [AlertKind.QUALITY]
    assert "version 1 cannot answer" in world.alerts[0].message


def test_a_promotion_starts_the_window_with_the_hold_out_comparisons() -> None:
    world = World(coached(task_settings(), release=Release.V0_3), agrees=lambda confidence: 0.5)
    world.send(40)
    world.act(world.brain.operate(Retrain(), world.now))
    held_out = comparisons(*[1.0] * 30, version=2)
    world.end_fine_tune(held_out)
    assert (world.brain.state.version, world.brain.state.window) == (2, held_out)
    assert world.brain.state.phase is Phase.AUTONOMOUS
