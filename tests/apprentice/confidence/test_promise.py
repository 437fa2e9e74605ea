"""The promised floor: false alarms never beyond what is stated, at the floor itself, and a breach found soon."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apprentice.confidence.promise import Promise

RATE = 1e-3


def run_length(rng: random.Random, mean: float, floor: float, limit: int) -> int:
    promise = Promise()
    for count in range(1, limit + 1):
        if promise.learn(float(rng.random() < mean), floor, RATE):
            return count
    return limit


@pytest.mark.parametrize("floor", [0.5, 0.85, 0.98])
def test_a_mean_at_the_floor_itself_keeps_to_the_stated_rate(floor: float) -> None:
    """The expected run length is at least 1,000; cut off at 5,000 it is a little less than it is."""
    rng = random.Random(f"{floor}")
    lengths = [run_length(rng, floor, floor, 5000) for _ in range(25)]
    assert sum(lengths) / len(lengths) >= 1000


@pytest.mark.parametrize(("mean", "within"), [(0.8, 350), (0.7, 100), (0.45, 25)])
def test_a_breach_is_found_the_sooner_the_worse_it_is(mean: float, within: int) -> None:
    rng = random.Random(2)
    lengths = [run_length(rng, mean, 0.85, 5000) for _ in range(20)]
    assert sum(lengths) / len(lengths) <= within


def test_a_broken_promise_stays_broken_and_a_new_one_is_not() -> None:
    promise = Promise()
    while not promise.learn(0.0, 0.9):
        assert promise.suspicion() < 1.0
    assert promise.learn(1.0, 0.9)
    assert promise.suspicion() == 1.0
    assert not Promise().broken()


@given(st.floats(0.0, 1.0), st.lists(st.floats(0.0, 1.0), max_size=200))
def test_any_floor_and_any_scores_are_finite_and_survive_json(floor: float, scores: list[float]) -> None:
    promise = Promise()
    for score in scores:
        promise.learn(score, floor, RATE)
        assert 0.0 <= promise.suspicion(RATE) <= 1.0
    assert Promise.model_validate_json(promise.model_dump_json()) == promise
