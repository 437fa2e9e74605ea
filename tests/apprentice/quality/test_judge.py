"""What follows from the proofs: phase, rate, threshold, alerts."""

import random

import pytest

from apprentice.lifecycle import Lifecycle
from apprentice.messages import AlertKind, ApplySettings, ForceRemote, PauseCoaching, Phase, Resume, Retrain
from apprentice.settings import QualitySettings, SamplingSettings
from apprentice.state import LifecycleState
from tests.apprentice.brain import NEVER, T0, World, autonomous, coached, comparisons, promised, request, task_settings

SETTINGS = task_settings(local=NEVER)


def two_kinds(rng: random.Random) -> float:
    """Six of ten answers are sure."""
    return 0.96 if rng.random() < 0.6 else 0.4


def right_where_sure(confidence: float | None) -> float:
    return 0.96 if confidence == 0.96 else 0.5


def test_a_task_serves_when_that_is_proven_and_not_before_min_samples() -> None:
    world = World(coached())
    world.send(19)
    assert world.brain.state.phase is Phase.COACHING
    while world.brain.state.phase is Phase.COACHING:
        world.send()
    assert 20 <= world.sent < 60
    assert "is proven to agree with the remote model at 0.85 or better" in world.brain.state.phase_reason
    early = task_settings(local=NEVER, quality=QualitySettings(target=0.3))
    soon = World(coached(early))
    soon.send(19)
    assert soon.brain.state.phase is Phase.COACHING, "proven, but by too few"
    soon.send(1)
    assert soon.brain.state.phase is Phase.AUTONOMOUS


def test_a_model_that_is_never_good_enough_overall_serves_what_it_is_sure_of() -> None:
    for seed in range(3):
        world = World(coached(), agrees=right_where_sure, confidence=two_kinds, rng=random.Random(seed))
        world.send(3000)
        served = sum(not route.remote for route in world.routes) / len(world.routes)
        assert served > 0.35
        assert world.served_agreement() >= 0.85
        assert world.alerts == []


def test_a_model_that_is_proven_bad_overall_goes_on_serving_the_share_on_which_it_is_proven_good() -> None:
    def four_of_ten_are_sure(rng: random.Random) -> float:
        return 0.96 if rng.random() < 0.4 else 0.4

    for seed in range(3):
        world = World(coached(), agrees=lambda c: 0.97 if c == 0.96 else 0.05, confidence=four_of_ten_are_sure)
        world.rng = random.Random(seed)
        moves, phase = 0, world.brain.state.phase
        for _ in range(2500):
            world.send()
            moves += world.brain.state.phase is not phase
            phase = world.brain.state.phase
        assert (moves, phase, world.alerts) == (1, Phase.AUTONOMOUS, [])
        assert world.served_agreement() >= 0.85


def test_a_version_that_is_proven_bad_everywhere_sends_the_task_back_to_the_remote_model() -> None:
    brain = autonomous(comparisons(*[1.0] * 10, *[0.0] * 40, confidence=0.95))
    assert brain.state.phase is Phase.COACHING
    assert [alert.kind for alert in brain.state.alerts] == [AlertKind.QUALITY]
    assert "less than emergency_threshold 0.50; back to the remote model" in brain.state.alerts[0].message


def test_the_rate_falls_to_the_floor_with_the_proof_and_never_below() -> None:
    settings = task_settings(local=NEVER, sampling=SamplingSettings(min_floor=0.05))
    world, rates = World(coached(settings), confidence=lambda rng: 0.95), []
    for _ in range(1500):
        world.send()
        rates.append(world.brain.state.rate)
    assert rates[0] == 1.0
    assert min(rates) == rates[-1] == pytest.approx(0.05)
    late = world.routes[1000:]
    assert any(route.remote for route in late)
    assert all(route.propensity >= 0.05 for route in late)


def test_everything_is_compared_where_a_proof_is_near_that_pays_for_it() -> None:
    def wait(requests: int) -> int:
        """Requests until all is served locally, by a task that had answered so many when its surest were proven."""
        world = World(coached(), agrees=lambda c: 0.97 if c == 0.96 else 0.84, confidence=two_kinds)
        while world.brain.state.phase is not Phase.AUTONOMOUS:
            world.send()
        assert promised(world.brain).share < 0.7
        world.brain.state.requests, began = requests, world.sent
        while promised(world.brain).share < 1.0:
            world.send()
        return world.sent - began

    assert wait(100) > 2 * wait(10_000)


def test_a_sudden_fall_is_named_taught_against_and_ends_the_serving_of_what_is_no_longer_proven() -> None:
    world = World(autonomous(comparisons(*[1.0] * 100, confidence=0.95)), confidence=lambda rng: 0.95)
    world.send(2000)
    assert (world.alerts, world.brain.state.phase) == ([], Phase.AUTONOMOUS)
    world.agrees = lambda confidence: 0.2
    while not world.alerts and world.sent < 10_000:
        world.send()
    state = world.brain.state
    assert [alert.kind for alert in world.alerts] == [AlertKind.QUALITY]
    assert "fell from" in world.alerts[0].message
    assert (state.phase, state.rate, state.defer_below) == (Phase.COACHING, 1.0, 1.0)
    assert len(world.started) == 1
    assert world.started[0].request.reason in world.alerts[0].message
    assert world.brain.admit(request(10**6), 0.999, world.now).remote
    assert len(state.window) < 60, "what was proven before the fall holds no more"


def test_a_version_taught_after_a_fall_is_proven_by_what_came_since_alone() -> None:
    world = World(autonomous(comparisons(*[1.0] * 100, confidence=0.95)), confidence=lambda rng: 0.95)
    world.send(1000)
    world.agrees = lambda confidence: 0.2
    while not world.alerts and world.sent < 10_000:
        world.send()
    stale = comparisons(*[1.0] * 100, version=2, confidence=0.95)
    world.end_fine_tune(stale)
    state = world.brain.state
    assert (state.version, promised(world.brain).threshold, state.window) == (2, None, [])
    world.send(50)
    world.act(world.brain.operate(Retrain(), world.now))
    world.end_fine_tune([c.model_copy(update={"version": 3}) for c in stale])
    assert len(state.window) == 10, "one in five was held out"
    world.agrees = lambda confidence: 1.0
    world.send(100)
    assert state.phase is Phase.AUTONOMOUS
    assert promised(world.brain).share == 1.0


def test_where_versions_fall_short_of_their_hold_out_at_once_the_next_is_proven_by_what_comes() -> None:
    """Like requests come together and never again: the hold-out holds what is much like an example, what comes is not.

    Each version would be served by its hold-out, found out and withdrawn, and the next one again.
    """
    hold_out = comparisons(*[1.0] * 100, confidence=0.95)
    world = World(autonomous(hold_out), agrees=lambda confidence: 0.3, confidence=lambda rng: 0.95)
    served = []
    for _ in range(8):
        world.send(600)  # what is held out of them comes after the fall
        served.append(sum(not route.remote for route in world.routes))
        if not world.brain.state.training:
            world.act(world.brain.operate(Retrain(), world.now))
        world.end_fine_tune(hold_out)
    assert served[0] > 0, "nobody can know before the first"
    assert served[-1] == served[0]
    world.agrees = lambda confidence: 0.97
    world.send(1000)
    assert world.brain.state.phase is Phase.AUTONOMOUS


def test_a_slow_decline_is_named_as_one() -> None:
    settings = task_settings(local=NEVER, sampling=SamplingSettings(min_floor=1.0))
    brain = autonomous(comparisons(*[1.0] * 100, confidence=0.95), settings)
    world = World(brain, confidence=lambda rng: 0.95, rng=random.Random(1))
    world.agrees = lambda confidence: 0.98 - 0.5 * world.sent / 1500
    while not world.alerts and world.sent < 1500:
        world.send()
    assert "agreement declines by about" in world.alerts[0].message
    assert world.started


def test_hardly_any_false_alarm_is_raised_while_the_quality_stays_the_same() -> None:
    alarms = 0
    for seed in range(2):
        world = World(
            autonomous(comparisons(*[1.0] * 94, *[0.0] * 6, confidence=0.95)),
            agrees=lambda confidence: 0.94,
            confidence=lambda rng: 0.95,
            rng=random.Random(seed),
        )
        world.send(10_000)
        alarms += len(world.alerts)
        assert world.brain.state.phase is Phase.AUTONOMOUS
    assert alarms <= 1


def test_everything_is_alarmed_about_once_and_the_phase_does_not_flap_at_the_boundary() -> None:
    world = World(coached(), agrees=lambda confidence: 0.86, confidence=lambda rng: 0.95, rng=random.Random(2))
    moves, phase = 0, world.brain.state.phase
    for _ in range(4000):
        world.send()
        moves += world.brain.state.phase is not phase
        phase = world.brain.state.phase
    assert moves <= 3


def test_a_better_version_moves_the_threshold_down() -> None:
    world = World(coached(), agrees=right_where_sure, confidence=two_kinds)
    world.send(600)
    before = world.brain.state.defer_below
    world.act(world.brain.operate(Retrain(), world.now))
    better = comparisons(*[1.0] * 60, confidence=0.96, version=2) + comparisons(*[1.0] * 60, confidence=0.4, version=2)
    random.Random(1).shuffle(better)
    world.end_fine_tune(better)
    assert before > world.brain.state.defer_below == 0.4


def test_another_target_is_proven_anew_from_the_window() -> None:
    brain = autonomous(comparisons(*[1.0] * 97, *[0.0] * 3, confidence=0.95))
    assert brain.state.defer_below < 1.0
    stricter = task_settings(local=NEVER, quality=QualitySettings(target=0.95))
    brain.operate(ApplySettings(settings=stricter), T0)
    assert brain.state.evidence is not None
    assert (brain.state.evidence.target, brain.state.evidence.agreement.n) == (0.95, 100)
    assert brain.admit(request(10**6), 0.999, T0).remote
    assert promised(brain).threshold is None
    brain.operate(ApplySettings(settings=SETTINGS), T0)
    assert promised(brain).threshold is not None


def test_another_target_leaves_the_watch_over_the_inputs_as_it_is() -> None:
    world = World(autonomous(comparisons(*[1.0] * 100, confidence=0.95)), confidence=lambda rng: 0.95)
    assert world.brain.state.evidence is not None
    world.brain.state.evidence.classes = "AAAAAA=="
    world.send(50)
    before = world.brain.state.evidence.inputs.model_dump()
    stricter = task_settings(local=NEVER, quality=QualitySettings(target=0.95))
    world.act(world.brain.operate(ApplySettings(settings=stricter), world.now))
    assert world.brain.state.evidence.target == 0.95
    assert world.brain.state.evidence.classes == "AAAAAA=="
    assert world.brain.state.evidence.inputs.model_dump() == before


def test_a_state_of_an_earlier_release_is_proven_from_its_window() -> None:
    held = autonomous(comparisons(*[1.0] * 80, confidence=0.95)).state.model_dump(mode="json", exclude={"evidence"})
    brain = Lifecycle(SETTINGS, LifecycleState.model_validate(held))
    assert brain.state.evidence is not None
    assert brain.state.evidence.agreement.n == 80
    brain.judge.judge(T0)
    assert brain.state.defer_below < 1.0
    none_yet = Lifecycle(SETTINGS, LifecycleState())
    assert none_yet.state.evidence is None


def test_paused_coaching_and_a_forced_remote_leave_the_proofs_alone() -> None:
    world = World(autonomous(comparisons(*[1.0] * 100, confidence=0.95)), confidence=lambda rng: 0.95)
    world.act(world.brain.operate(PauseCoaching(), world.now))
    before, compared = world.brain.state.evidence, len(world.brain.state.window)
    world.send(300)
    assert not any(route.remote for route in world.routes)
    assert len(world.brain.state.window) == compared
    world.act(world.brain.operate(PauseCoaching(paused=False), world.now))
    world.act(world.brain.operate(ForceRemote(), world.now))
    sent = len(world.routes)
    world.send(50)
    assert all(route.remote for route in world.routes[sent:])
    world.act(world.brain.operate(Resume(), world.now))
    assert world.brain.state.phase is Phase.AUTONOMOUS
    assert world.brain.state.evidence is before


def test_other_inputs_are_told_and_taught() -> None:
    world = World(autonomous(comparisons(*[1.0] * 100, confidence=0.95)), confidence=lambda rng: 0.95)
    world.send(1500)
    world.confidence = lambda rng: 0.5
    world.send(400)
    assert any("the inputs change: the local model is less sure" in alert.message for alert in world.alerts)
    assert world.started
