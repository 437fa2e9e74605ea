"""Whatever a program hands over as an input, it gets a request or one named error, at once."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client import InvalidInput
from client.requests import request_of
from workflows.burst import LARGEST_INPUT

MIB = 1024 * 1024


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


def around_itself() -> dict[str, Any]:
    value: dict[str, Any] = {}
    value["text"] = value
    return value


@pytest.mark.parametrize(
    ("input", "words"),
    [
        ({"text": "x" * 10_000_000}, "10,000,0.. bytes long; 1,048,576 are the most"),
        ({"text": nested(100_000)}, "nested too deep"),
        ({"text": "\0"}, "NUL"),
        ({"\0": "text"}, "NUL"),
        ({"request": "a backslash \\ and \0"}, "NUL"),
        (around_itself(), "contains itself"),
        ({"text": float("nan")}, "NaN"),
        ({"text": {"deep": [float("-inf")]}}, "NaN or infinite"),
        ({"text": "\ud800"}, "surrogate"),
        ({"\udfff": "text"}, "surrogate"),
        ({"number": 10**5000}, "not JSON"),
        ({"text": object()}, "type"),
        ({"text": b"\xff"}, "type"),
        ({1: "text"}, "should be a valid string"),
        ([1], "should be a valid dictionary"),
        (None, "should be a valid dictionary"),
        ("text", "should be a valid dictionary"),
    ],
    ids=lambda value: str(value)[:30] if isinstance(value, str) else "",
)
def test_an_input_that_is_no_json_is_named(input: Any, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        request_of("tickets", input, "id", MIB)


def test_the_words_of_the_limit_say_where_it_is_set() -> None:
    with pytest.raises(InvalidInput, match=r"temporal\.max_payload"):
        request_of("tickets", {"text": "x" * 2 * MIB}, "id", MIB)
    with pytest.raises(InvalidInput, match="APPRENTICE_CONFIG"):
        request_of("tickets", {"text": "x" * 2 * MIB}, "id", LARGEST_INPUT)


def test_a_bad_request_id_is_named() -> None:
    with pytest.raises(InvalidInput, match="request_id"):
        request_of("tickets", {}, "x" * 201, MIB)


@pytest.mark.parametrize("text", ["\\u0000", "\\\\u0000", "u0000", "\\ \\", "\x01"])
def test_what_only_looks_like_a_nul_is_welcome(text: str) -> None:
    _, content = request_of("tickets", {"text": text}, "id", MIB)
    assert json.loads(content)["input"] == {"text": text}


def test_what_pydantic_can_write_is_welcome() -> None:
    _, content = request_of("tickets", {"at": datetime(2030, 1, 1, tzinfo=UTC)}, "id", MIB)
    assert json.loads(content)["input"] == {"at": "2030-01-01T00:00:00Z"}


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters()), inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_what_is_sent_is_what_was_meant(value: Any) -> None:
    try:
        _, content = request_of("tickets", {"value": value}, "id", MIB)
    except InvalidInput:
        return
    assert json.loads(content)["input"] == json.loads(json.dumps({"value": value}, default=bytes.decode))
