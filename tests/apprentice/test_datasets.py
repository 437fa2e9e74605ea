"""The hold-out split: by content, for ever."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apprentice.datasets import input_hash, normalise, split
from apprentice.messages import Split

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
inputs = st.dictionaries(st.text(max_size=4), json_values, max_size=4)


@pytest.mark.parametrize(
    ("one", "same"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ({"a": "My  card\n is lost "}, {"a": "My card is lost"}),
        ({"a": "Zu\u0308rich"}, {"a": "Zürich"}),
        ({"a": [1.0, -0.0]}, {"a": [1, 0]}),
    ],
)
def test_inputs_that_mean_the_same_share_a_hash(one: dict[str, Any], same: dict[str, Any]) -> None:
    assert input_hash(one) == input_hash(same)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": "Lost"}, {"a": "lost"}),
        ({"a": 1}, {"a": "1"}),
        ({"a": True}, {"a": 1}),
        ({"a": None}, {}),
        ({"a": [1, 2]}, {"a": [2, 1]}),
        ({"a": "b c"}, {"a": "bc"}),
    ],
)
def test_inputs_that_differ_do_not(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert input_hash(one) != input_hash(other)


def test_a_hash_never_changes_between_releases() -> None:
    # If this fails, hold-out examples of every existing installation would move into training.
    assert normalise({"text": " Größe  ok? ", "n": 2.0}) == '{"n":2,"text":"Gr\\u00f6\\u00dfe ok?"}'
    assert input_hash({"text": "hello"}) == "cbbbdcd27692344de5dbab3abcaba413fb0f45307267de7081401576df1cb176"
    parts = [split(input_hash({"text": f"question {n}"}), "apprentice", 0.2) for n in range(20)]
    assert "".join(part[0] for part in parts) == "tthhttthtttthtttttht"


@given(inputs)
def test_normalising_twice_changes_nothing(value: dict[str, Any]) -> None:
    assert normalise(json.loads(normalise(value))) == normalise(value)


@given(inputs, st.randoms())
def test_the_order_of_keys_does_not_matter(value: dict[str, Any], random: Any) -> None:
    keys = list(value)
    random.shuffle(keys)
    assert normalise({key: value[key] for key in keys}) == normalise(value)


@given(st.text(), st.text(max_size=5), st.floats(0, 0.5), st.floats(0, 0.5))
def test_a_larger_fraction_never_moves_an_input_into_training(key: str, salt: str, one: float, other: float) -> None:
    small, large = sorted((one, other))
    digest = input_hash({"text": key})
    if split(digest, salt, small) is Split.HOLDOUT:
        assert split(digest, salt, large) is Split.HOLDOUT


def test_the_share_of_hold_out_inputs_is_the_fraction() -> None:
    digests = [input_hash({"text": f"question {n}"}) for n in range(10_000)]
    held = sum(split(digest, "salt", 0.2) is Split.HOLDOUT for digest in digests)
    assert 1_840 < held < 2_160  # 4 standard deviations
    assert {split(digest, "salt", 0.0) for digest in digests} == {Split.TRAIN}


def test_another_salt_is_another_independent_split() -> None:
    digests = [input_hash({"text": f"question {n}"}) for n in range(10_000)]
    both = sum(split(digest, "a", 0.5) is split(digest, "b", 0.5) for digest in digests)
    assert 4_800 < both < 5_200
