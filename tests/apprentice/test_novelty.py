"""Novelty: familiar inputs score low, strange ones high, whatever the input is made of, and nothing of them is kept."""

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apprentice.novelty import FAR, MOST_CLASSES, TOKENS_KEPT, Profile, knows
from client.cli.generated_tickets import generate

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.text(max_size=8), JSON, max_size=5)


def rows(number: int, seed: int) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    return [(row["input"], row["output"]) for row in generate(number, random.Random(seed))]


@pytest.fixture(scope="module")
def profile() -> Profile:
    return Profile.of(rows(1500, 0))


def mean_novelty(profile: Profile, inputs: list[dict[str, Any]]) -> float:
    return sum(map(profile.novelty, inputs)) / len(inputs)


def test_more_of_the_same_is_familiar_and_another_language_is_far(profile: Profile) -> None:
    same = [input for input, _ in rows(300, 1)]
    assert mean_novelty(profile, same) < 0.3
    assert sum(profile.novelty(input) >= FAR for input in same) <= 0.05 * len(same)
    foreign = [
        {"text": "Sehr geehrte Damen und Herren, mein Paket ist leider nie angekommen"},
        {"text": "荷物が届きません。返金をお願いします。"},
        {"text": "guten Morgen"},
    ]
    assert all(profile.novelty(input) > FAR for input in foreign)


def test_one_new_value_of_an_enum_is_seen_beside_a_long_familiar_text() -> None:
    def row(at: int, country: str) -> tuple[dict[str, Any], dict[str, Any]]:
        return {"text": f"where is my order number {at} of the blue shoes", "country": country}, {}

    profile = Profile.of(row(at, ("de", "fr", "es")[at % 3]) for at in range(300))
    known, new = row(4711, "de")[0], row(4711, "jp")[0]
    assert profile.novelty(known) < 0.1
    assert profile.novelty(new) > profile.novelty(known) + 0.3


def test_a_number_is_new_when_it_leaves_the_usual_magnitudes_and_a_field_when_it_never_was_there() -> None:
    profile = Profile.of(({"amount": 100.0 + at}, {}) for at in range(300))
    assert profile.novelty({"amount": 250.5}) < 0.1
    assert profile.novelty({"amount": -1e6}) > 0.3
    assert profile.novelty({"amount": 250.5, "currency": "EUR"}) > 0.3


def test_a_class_that_training_never_had_is_not_known() -> None:
    taught = [({"text": str(at)}, {"intent": ("pay", "refund")[at % 2], "id": f"T{at}"}) for at in range(100)]
    classes = Profile.of(taught).classes
    assert knows(classes, {"intent": "pay", "id": "T4711"})
    assert not knows(classes, {"intent": "complain", "id": "T1"})
    assert knows("", {"intent": "anything"})
    assert len(classes) <= 4 * MOST_CLASSES * 4 / 3


def test_a_profile_is_small_holds_no_text_and_is_the_same_for_the_same_rows(profile: Profile) -> None:
    letters = random.Random(0)
    many = [
        ({"text": " ".join(str(letters.random())[2:8] + "x" + str(at) for _ in range(20))}, {}) for at in range(900)
    ]
    big = Profile.of(
        [({"text": f"{input['text']} w{chr(97 + at % 26) * (1 + at % 9)}"}, {}) for at, (input, _) in enumerate(many)]
    )
    assert len(big.model_dump_json()) < 10 * TOKENS_KEPT
    text = profile.model_dump_json()
    assert not any(word in text for word in ("order", "parcel", "refund"))
    assert Profile.of(rows(1500, 0)) == Profile.model_validate_json(text)


@given(st.lists(st.tuples(OBJECTS, OBJECTS), max_size=8), OBJECTS)
def test_any_json_has_a_novelty_between_0_and_1(
    taught: list[tuple[dict[str, Any], dict[str, Any]]], input: Any
) -> None:
    profile = Profile.of(taught)
    read = Profile.model_validate_json(profile.model_dump_json())
    for one in [input, *(data for data, _ in taught)]:
        assert 0.0 <= read.novelty(one) == profile.novelty(one) <= 1.0
    assert all(knows(profile.classes, output) for _, output in taught)
    json.loads(profile.model_dump_json())
