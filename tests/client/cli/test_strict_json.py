import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.cli.strict_json import JsonError, parse, parse_object

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_all_that_json_writes_is_read_back(value: Any) -> None:
    assert parse(json.dumps(value)) == value
    assert parse(json.dumps(value, ensure_ascii=False).encode()) == value


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"a": NaN}', "at column 7"),
        ('{"a": -Infinity}', "at column 8"),
        ('{"a": 1e999}', "too large"),
        ('{"a": 1,\n "b": }', "at line 2 column 7"),
        ('{"a": 1, "a": 2}', "'a' is there twice"),
        ('{"x": {"a": 1, "a": 1}}', "'a' is there twice"),
        ('{"a": "\\ud800"}', "at column"),
        ("{'a': 1}", "key must be a string"),
        ("", "EOF"),
        ("[" * 500 + "]" * 500, "recursion"),
    ],
)
def test_what_is_no_strict_json_is_refused_with_its_place(text: str, words: str) -> None:
    with pytest.raises(JsonError, match="not valid JSON") as caught:
        parse(text)
    assert words in str(caught.value)


def test_bytes_that_are_no_utf8_are_refused() -> None:
    with pytest.raises(JsonError, match="not valid JSON"):
        parse(b'{"a": "\xff"}')


def test_an_error_quotes_no_value() -> None:
    with pytest.raises(JsonError) as caught:
        parse('{"card": "4111 1111", "x": NaN}')
    assert "4111" not in str(caught.value)


@pytest.mark.parametrize(("text", "name"), [("[1]", "a list"), ('"x"', "text"), ("3", "a number"), ("null", "null")])
def test_an_object_is_expected(text: str, name: str) -> None:
    with pytest.raises(JsonError, match=f"expected a JSON object, got {name}"):
        parse_object(text)
