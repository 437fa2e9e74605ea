"""Schemas are inferred so that every row they came from fits."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apprentice.inference import infer_schema, infer_settings
from apprentice.schema import SchemaError, compile_schema
from apprentice.settings import RemoteSettings

REMOTE = RemoteSettings(provider="recorded", model="claude-sonnet-4-5")
NAMES = st.sampled_from(["a", "b", "c"])
SCALARS: dict[str, st.SearchStrategy[Any]] = {
    "a": st.none() | st.text("xyz"),
    "b": st.none() | st.integers(-9, 9) | st.floats(-1, 1),
    "c": st.lists(st.integers(0, 3)) | st.none(),
    "d": st.fixed_dictionaries({}, optional={"e": st.booleans() | st.none()}) | st.none(),
}


@given(st.lists(st.fixed_dictionaries({"id": st.integers(0, 9)}, optional=SCALARS), min_size=1))
def test_every_row_fits_the_schema_inferred_from_all(rows: list[dict[str, Any]]) -> None:
    schema = compile_schema(infer_schema(rows))
    for row in rows:
        schema.validate(row)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([{"x": "a"}, {"x": "b"}], {"x": "str"}),
        ([{"x": 1}, {"x": 2.5}], {"x": "float"}),
        ([{"x": True}], {"x": "bool"}),
        ([{"x": None}, {"x": "a"}], {"x": "str?"}),
        ([{"x": "a"}, {}], {"x": "str?"}),
        ([{"x": None}], {"x": "str?"}),
        ([{"x": ["a"]}, {"x": ["b", "c"]}], {"x": "list[str]"}),
        ([{"x": ["a", 1]}], {"x": "list"}),
        ([{"x": {"y": 1}}, {"x": None}], {"x?": {"y": "int"}}),
        ([{"x": {}}], {"x": "dict"}),
    ],
)
def test_the_narrowest_type_is_taken(values: list[dict[str, Any]], expected: dict[str, Any]) -> None:
    assert infer_schema(values) == expected


def test_two_kinds_in_one_field_are_an_error_with_its_path() -> None:
    with pytest.raises(SchemaError, match=r"output\.x\.y: is a number in one row and text in another"):
        infer_settings("t", [{"a": 1}] * 2, [{"x": {"y": 1}}, {"x": {"y": "b"}}], REMOTE)


def test_one_output_field_is_compared_as_a_whole_and_several_one_by_one() -> None:
    assert infer_settings("t", [{"a": 1}], [{"x": "a"}], REMOTE).evaluator == "exact_match"
    assert infer_settings("t", [{"a": 1}], [{"x": "a", "y": "b"}], REMOTE).evaluator == "structured_match"


def test_objects_without_fields_have_no_schema() -> None:
    with pytest.raises(SchemaError, match="input: there are no fields"):
        infer_settings("t", [{}], [{"x": 1}], REMOTE)
