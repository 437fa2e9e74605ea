"""What is known of requests that nobody looked at."""

import random
from math import isclose

import pytest

from apprentice.whatif.estimate import Item, amount, chernoff, share, student


def sampled(rng: random.Random, count: int = 600) -> tuple[list[Item], list[float]]:
    """Requests looked at by coins whose probability follows what was seen so far, as a sampling rate does."""
    items, truth, seen = [], [], [1.0]
    for number in range(count):
        good = 0.95 if number < count / 2 else 0.8  # it drifts: no mean of the seen alone is right
        score = float(rng.random() < good)
        chance = min(1.0, max(0.05, 2.0 - 2.0 * sum(seen[-30:]) / len(seen[-30:])))
        known = rng.random() < chance
        seen += [score] if known else []
        items.append(Item(1.0, 1.0, score if known else None, chance))
        truth.append(score)
    return items, truth


def test_the_interval_holds_the_truth_under_adaptive_sampling_and_drift() -> None:
    held, above = 0, 0.0
    for seed in range(300):
        items, truth = sampled(random.Random(seed))
        found, right = share(items), sum(truth) / len(truth)
        assert found.mean is not None
        assert found.low is not None
        assert found.high is not None
        held += found.low <= right <= found.high
        above += (found.mean - right) / 300
    assert held >= 0.95 * 300
    assert abs(above) < 0.01


def test_the_interval_of_costs_holds_the_truth() -> None:
    held = 0
    for seed in range(300):
        rng, items, total = random.Random(seed), [], 0.0
        for _ in range(600):
            cost, chance = rng.lognormvariate(-4, 0.3), rng.choice([0.1, 0.3])
            items.append(Item(1.0, 1.0, cost if rng.random() < chance else None, chance))
            total += cost / 600
        found = amount(items)
        assert found.low is not None
        assert found.high is not None
        held += found.low <= total <= found.high
    assert held >= 0.92 * 300


def test_what_is_known_has_no_interval() -> None:
    found = share([Item(1.0, 1.0, value, 1.0) for value in (1.0, 0.0, 1.0, 1.0)])
    assert (found.mean, found.low, found.high, found.unsupported) == (0.75, 0.75, 0.75, 0.0)


@pytest.mark.parametrize("chance", [0.0, None])
def test_what_was_never_to_be_looked_at_is_counted_and_not_guessed(chance: float | None) -> None:
    found = share([Item(1.0, 1.0, 1.0, 0.5)] * 20 + [Item(1.0, 1.0, None, chance)] * 10)
    assert (found.weight, found.unsupported) == (20.0, 10.0)


def test_where_nothing_was_looked_at_nothing_is_said() -> None:
    found = share([Item(1.0, 1.0, None, 0.1)] * 10)
    assert (found.mean, found.weight, found.unsupported) == (None, 0.0, 10.0)


def test_chernoffs_interval_is_not_empty_where_all_agree() -> None:
    low, high = chernoff(1.0, 20)
    assert high == 1.0
    assert isclose(low, 0.05 ** (1 / 20) / 2 ** (1 / 20), abs_tol=1e-6)  # 20 ln(1 / m) = ln(2 / 0.05)


def test_students_quantile() -> None:
    assert student(7) == pytest.approx(2.3646, rel=0.002)
    assert student(30) == pytest.approx(2.0423, rel=0.001)
