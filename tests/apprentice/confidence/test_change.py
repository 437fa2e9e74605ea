"""The watch over a model's own level: false alarms as stated, falls found soon, named, and told with figures."""

import random
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apprentice.confidence.change import Change, Watch
from apprentice.confidence.detector import FALSE_ALARM_RATE
from apprentice.confidence.trend import ChangeKind

SCORES = st.floats(0.0, 1.0) | st.sampled_from([0.0, 1.0, 1e-300, 1.0 - 1e-16])


def watched(scores: Sequence[float], rate: float = FALSE_ALARM_RATE) -> list[tuple[int, Change]]:
    watch = Watch()
    return [(place, change) for place, score in enumerate(scores) if (change := watch.learn(score, rate))]


def coins(rng: random.Random, mean: Callable[[int], float], count: int) -> list[float]:
    return [float(rng.random() < mean(place)) for place in range(count)]


def falling(at: int, before: float, after: float, over: int = 1) -> Callable[[int], float]:
    return lambda place: before if place < at else before - (before - after) * min(1.0, (place - at + 1) / over)


@pytest.mark.parametrize("mean", [0.5, 0.8, 0.95])
def test_false_alarms_keep_to_the_stated_rate_though_the_level_is_learned_from_the_stream(mean: float) -> None:
    """40,000 comparisons at a rate of 1 in 1,000: 40 at most, with three standard errors."""
    rng = random.Random(f"{mean}")
    alarms = sum(len(watched(coins(rng, lambda place: mean, 2000), 1e-3)) for _ in range(20))
    assert alarms <= 40 + 3 * 6


def test_scores_that_are_not_0_or_1_keep_to_it_too() -> None:
    rng = random.Random(1)
    draws: tuple[Callable[[], float], ...] = (
        lambda: rng.betavariate(9, 1),
        lambda: 0.5 + 0.5 * (rng.random() < 0.7),
        lambda: rng.randint(0, 5) / 5,
    )
    for draw in draws:
        alarms = sum(len(watched([draw() for _ in range(2000)], 1e-3)) for _ in range(5))
        assert alarms <= 10 + 3 * 3


@pytest.mark.parametrize(("after", "within"), [(0.8, 400), (0.7, 120), (0.5, 45)])
def test_a_larger_drop_is_found_sooner(after: float, within: int) -> None:
    found = []
    for seed in range(8):
        alarms = watched(coins(random.Random(seed), falling(1000, 0.9, after), 3000))
        found.append(next(place - 999 for place, _ in alarms if place >= 1000))
    assert sum(found) / len(found) <= within


def test_a_large_drop_is_called_sudden_and_a_slow_one_gradual_with_figures_near_the_truth() -> None:
    sudden, gradual = [], []
    for seed in range(12):
        stream = coins(random.Random(seed), falling(1000, 0.95, 0.6), 2000)
        sudden.append(next(change for place, change in watched(stream) if place >= 1000))
        stream = coins(random.Random(seed), falling(1000, 0.9, 0.6, over=1000), 3000)
        gradual.append(next(change for place, change in watched(stream) if place >= 1000))
    assert sum(change.kind is ChangeKind.SUDDEN for change in sudden) >= 11
    assert sum(change.kind is ChangeKind.GRADUAL for change in gradual) >= 7
    for changes in (sudden, gradual):
        assert sum(change.before for change in changes) / 12 == pytest.approx(0.92, abs=0.05)
        assert all(change.after < change.before for change in changes)


def test_an_alarm_is_told_once_and_the_new_level_is_watched_from_then_on() -> None:
    rng = random.Random(3)
    stream = coins(rng, falling(1000, 0.95, 0.7), 3000) + coins(rng, lambda place: 0.3, 500)
    places = [place for place, _ in watched(stream)]
    assert len([place for place in places if 1000 <= place < 3000]) == 1
    assert any(3000 <= place < 3100 for place in places)


def test_suspicion_rises_before_the_alarm_and_is_rare_without_a_change() -> None:
    watch, quiet = Watch(), []
    rng = random.Random(5)
    for score in coins(rng, lambda place: 0.9, 3000):
        watch.learn(score)
        quiet.append(watch.suspicion())
    assert sum(one > 0.5 for one in quiet) <= 0.1 * len(quiet)
    seen = []
    while watch.learn(float(rng.random() < 0.7)) is None:
        seen.append(watch.suspicion())
    assert max(seen) > 0.5


def test_a_level_from_the_hold_out_set_is_known_from_the_first_comparison() -> None:
    watch = Watch()
    watch.restart([1.0] * 190 + [0.0] * 10)
    place = next(place for place in range(100) if watch.learn(float(place % 2)))
    assert place < 40


def test_the_words_of_an_alert() -> None:
    drop = Change(kind=ChangeKind.SUDDEN, before=0.94, after=0.81, ago=120)
    assert str(drop) == "agreement fell from 0.94 to 0.81 about 120 comparisons ago"
    slow = Change(kind=ChangeKind.GRADUAL, before=0.94, after=0.81, ago=400)
    assert str(slow) == (
        "agreement declines by about 3.2 points per 100 comparisons, from 0.94 to 0.81 over the last 400"
    )


@settings(max_examples=50)
@given(st.lists(SCORES, max_size=100), st.lists(SCORES, max_size=200))
def test_whatever_the_scores_the_state_is_finite_small_and_survives_json(first: list[float], then: list[float]) -> None:
    watch = Watch()
    watch.restart(first)
    for score in then:
        change = watch.learn(score, 1e-2)
        assert 0.0 <= watch.suspicion() <= 1.0
        if change:
            assert 0.0 <= change.after <= change.before <= 1.0
            assert change.ago >= 0
    assert Watch.model_validate_json(watch.model_dump_json()) == watch


def test_the_state_stays_under_two_kibibytes_after_twenty_thousand_comparisons() -> None:
    watch, rng = Watch(), random.Random(9)
    for _ in range(20_000):
        watch.learn(rng.random(), 1e-12)
    assert len(watch.model_dump_json()) < 2048
