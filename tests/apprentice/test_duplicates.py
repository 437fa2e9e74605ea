"""The same question in other clothes is on one side of the hold-out."""

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apprentice.datasets import split
from apprentice.duplicates import Twins, fingerprint, sketch
from apprentice.messages import Split

Json = dict[str, Any]


def text(words: str) -> Json:
    return {"text": words}


SAME = [
    (text("My card is lost!"), text("my CARD  is lost")),
    (text("Why don't you answer"), text("why dont you answer?")),
    (text("Café à Zürich"), text("cafe a zurich")),
    (text("Hi, please block my lost card today, thanks"), text("block my lost card today")),
    (text("can you block my card now"), text("now can you block my card")),
    ({"n": 1.0, "text": "ok"}, {"text": "OK.", "n": 1}),
]
OTHER = [
    (text("a table for 7 at 8pm"), text("a table for 8 at 7pm")),
    (text("north south north"), text("south north north")),
    (text("x o x _ o"), text("o x x _ o")),
    (text("red red red blue green"), text("blue red red red green")),
    (text(":)"), text(":(")),
    ({"a": "x"}, {"b": "x"}),
    ({"n": 1}, {"n": 2}),
    ({"n": 1}, {"n": "1"}),
    ({"n": []}, {"n": {}}),
    ({"n": None}, {}),
    ({"n": True}, {"n": 1}),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_the_same_question_in_other_clothes_has_the_same_fingerprint(one: Json, other: Json) -> None:
    assert fingerprint(one) == fingerprint(other)


@pytest.mark.parametrize(("one", "other"), OTHER)
def test_another_question_has_another(one: Json, other: Json) -> None:
    assert fingerprint(one) != fingerprint(other)


def test_a_fingerprint_never_changes_between_releases() -> None:
    # If this fails, hold-out examples of every existing installation would move into training.
    assert (
        fingerprint(text("Hello, I lost my card (again)!"))
        == "5f863e1417441a3a5500e9f1bb2904639cb6be1ad432e3750f63058449e10b34"
    )
    parts = [split(fingerprint(text(f"question {n}")), "apprentice", 0.2) for n in range(20)]
    assert "".join(part[0] for part in parts) == "ttttttthttttthtttttt"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
inputs = st.dictionaries(st.text(max_size=4), json_values, max_size=4)


@given(inputs, st.randoms())
def test_every_input_has_a_fingerprint_whatever_the_order_of_its_keys(value: Json, random: Any) -> None:
    keys = list(value)
    random.shuffle(keys)
    assert fingerprint({key: value[key] for key in keys}) == fingerprint(value)
    held = Twins()
    held.take([value])
    assert held.same(sketch(value))


@given(st.text(max_size=60))
def test_case_spacing_and_full_stops_never_matter(words: str) -> None:
    plain = fingerprint(text(words))
    assert fingerprint(text(f"  {words}  ")) == plain
    if any(c.isalnum() for c in words):
        assert fingerprint(text(words + ".")) == plain


def apart(held: list[Json], training: list[Json]) -> list[bool]:
    twins = Twins()
    twins.take(held)
    keeps = twins.apart([sketch(one) for one in training])
    return [keeps(sketch(one)) for one in training]


HELD = "I would like to know why the cash machine kept my card yesterday"


@pytest.mark.parametrize(
    "near",
    [
        HELD.upper() + "?",
        HELD.replace("machine", "machin"),
        HELD.replace("machine", "amchine"),
        HELD.replace("machine", "machines"),
        HELD.replace("machine", "macjine"),
        HELD + " really",
        HELD.replace("yesterday", ""),
        HELD.replace("yesterday", "today"),
    ],
)
def test_a_near_duplicate_of_a_hold_out_input_is_not_trained_on(near: str) -> None:
    others = [text(f"something else, number {n}") for n in range(20)]
    assert apart([text(HELD)], [text(near), *others]) == [False, *[True] * 20]


@pytest.mark.parametrize(
    ("held", "other"),
    [
        ("my card is lost", "my card is stolen"),
        (
            "a table for 7 at eight in the evening on friday the tenth",
            "a table for 9 at eight in the evening on friday the tenth",
        ),
        ("was it 10", "was it 11"),
        ("yes", "yet"),
        (HELD, "why did the cash machine keep my card"),
    ],
)
def test_another_question_is_trained_on(held: str, other: str) -> None:
    assert apart([text(held)], [text(other)] * 20) == [True] * 20


def test_requests_that_share_a_form_are_not_one_question() -> None:
    rng = random.Random(1)
    names = ["".join(rng.choices("abcdefghijk", k=8)) for _ in range(200)]
    form = "Dear team, this is the weekly form of the northern branch. Name: {}. Problem: {}. Kind regards from us all."
    requests = [text(form.format(rng.choice(names), rng.choice(names))) for _ in range(1000)]
    held = [one for one in requests if split(fingerprint(one), "s", 0.2) is Split.HOLDOUT]
    training = [one for one in requests if split(fingerprint(one), "s", 0.2) is Split.TRAIN]
    assert 130 < len(held) < 270
    kept = apart(held, training)
    assert sum(kept) > 0.95 * len(kept)


def test_a_blank_that_hold_out_inputs_fill_in_differently_is_no_variation() -> None:
    form = "please tell me as soon as you can what the weather in {} is like"
    held = [text(form.format(town)) for town in ("Bern", "Oslo", "Rome")]
    assert apart(held, [text(form.format("Lima"))] * 3) == [True] * 3
