"""The shift detector: no false alarm for as long as it promises, and a real drop found soon."""

import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apprentice.before_0_4.shift import FALSE_ALARM_RATE, proven, step
from apprentice.messages import Phase
from apprentice.release import Release
from tests.apprentice.brain import World, autonomous, comparisons

FLOOR = 0.7


def run_length(quality: float, rng: random.Random, level: float, limit: int) -> int:
    statistic = 0.0
    for count in range(1, limit + 1):
        statistic = step(statistic, float(rng.random() < quality), FLOOR)
        if statistic >= level:
            return count
    return limit


@given(st.floats(0.01, 0.98), st.floats(0, 1), st.floats(0, 1e4))
def test_a_score_of_exactly_the_floor_is_no_evidence_and_a_lower_one_is(
    floor: float, score: float, before: float
) -> None:
    after, base = step(before, score, floor), max(before, 1.0)
    assert 0.0 < after <= 1.0 / FALSE_ALARM_RATE
    assert after <= base * (1 + 1e-9) if score >= floor else after >= base * (1 - 1e-9)


@given(st.floats(0.05, 0.95))
def test_at_the_floor_every_step_is_a_fair_bet(floor: float) -> None:
    """The reason for the run length that is promised: the expected factor is 1 there, whatever the distribution."""
    expected = floor * step(1.0, 1.0, floor) + (1 - floor) * step(1.0, 0.0, floor)
    assert expected == pytest.approx(1.0)


def test_the_average_run_length_at_the_floor_is_at_least_the_inverse_of_the_level() -> None:
    """At a level of 1/200 instead of 1/10,000, so that it can be seen; the theorem is the same for each level."""
    lengths = [run_length(FLOOR, random.Random(seed), 200.0, 20_000) for seed in range(150)]
    assert statistics.fmean(lengths) >= 200


def test_a_model_above_the_floor_raises_no_alarm_in_a_hundred_thousand_comparisons() -> None:
    rng, statistic = random.Random(5), 0.0
    for _ in range(100_000):
        statistic = step(statistic, float(rng.random() < 0.85), FLOOR)
        assert not proven(statistic)


def test_a_drop_from_nine_tenths_to_four_tenths_is_proven_within_about_fifty_comparisons() -> None:
    delays = []
    for seed in range(200):
        rng, statistic = random.Random(seed), 0.0
        for _ in range(200):
            statistic = step(statistic, float(rng.random() < 0.9), FLOOR)
        count = 0
        while not proven(statistic):
            statistic, count = step(statistic, float(rng.random() < 0.4), FLOOR), count + 1
        delays.append(count)
    assert statistics.fmean(delays) < 55
    assert statistics.quantiles(delays, n=20)[-1] < 120


def test_the_statistic_stays_finite_however_bad_the_model_is() -> None:
    statistic = 0.0
    for _ in range(5000):
        statistic = step(statistic, 0.0, FLOOR)
    assert statistic == 1.0 / FALSE_ALARM_RATE


def test_a_model_that_breaks_suddenly_stops_serving() -> None:
    world = World(
        autonomous(comparisons(*[1.0] * 100, confidence=0.99), release=Release.V0_3), confidence=lambda rng: 0.99
    )
    world.send(500)
    before = world.brain.state.phase
    world.agrees = lambda confidence: 0.2
    world.send(2000)
    assert "coaching_trigger" in world.alerts[0].message or "sudden drop" in world.alerts[0].message
    assert (before, world.brain.state.phase) == (Phase.AUTONOMOUS, Phase.COACHING)
