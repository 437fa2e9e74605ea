"""Inputs alone: what changed is named, a stationary stream stays silent, and nothing measured is nothing seen."""

import random

from apprentice.confidence.inputs import InputChange, InputKind, InputWatch


def first(
    watch: InputWatch, rng: random.Random, novelty: float, sure: float, far: float, count: int
) -> InputChange | None:
    for _ in range(count):
        new = 0.9 if rng.random() < far else min(max(rng.gauss(novelty, 0.1), 0.0), 0.49)
        if change := watch.see(new, min(max(rng.gauss(sure, 0.08), 0.0), 1.0)):
            return change
    return None


def test_new_words_strange_requests_and_less_sureness_are_told_apart() -> None:
    for novelty, sure, far, kind in (
        (0.25, 0.85, 0.0, InputKind.NEW_VOCABULARY),
        (0.12, 0.75, 0.0, InputKind.LESS_SURE),
        (0.12, 0.85, 0.15, InputKind.OUT_OF_SCOPE),
    ):
        watch, rng = InputWatch(), random.Random(1)
        assert first(watch, rng, 0.12, 0.85, 0.0, 1000) is None
        change = first(watch, rng, novelty, sure, far, 500)
        assert change is not None
        assert kind is change.of or (kind is InputKind.OUT_OF_SCOPE and change.of is InputKind.NEW_VOCABULARY)
        assert "fell from" in str(change) or "declines by" in str(change)


def test_classes_that_were_never_taught_are_told() -> None:
    watch, rng = InputWatch(), random.Random(2)
    assert all(watch.compare(True) is None for _ in range(300))
    found = next((change for _ in range(200) if (change := watch.compare(rng.random() > 0.3))), None)
    assert found is not None
    assert found.of is InputKind.NEW_CLASSES


def test_false_alarms_of_all_watches_together_keep_to_the_stated_rate() -> None:
    rng, alarms = random.Random(3), 0
    for _ in range(5):
        watch = InputWatch()
        for _ in range(2000):
            new = 0.9 if rng.random() < 0.02 else min(abs(rng.gauss(0.1, 0.1)), 0.49)
            alarms += watch.see(new, rng.betavariate(6, 2), rate=1e-3) is not None
    assert alarms <= 10 + 3 * 3


def test_a_version_without_a_profile_or_a_confidence_is_not_watched_and_state_is_small() -> None:
    watch = InputWatch()
    assert watch.see(None, None) is None
    assert not watch.watches
    for _ in range(3000):
        watch.see(0.1, 0.9)
        watch.compare(True)
    assert len(watch.model_dump_json()) < 4096
    assert InputWatch.model_validate_json(watch.model_dump_json()) == watch
