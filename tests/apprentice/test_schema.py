"""The schema mini-language: what fits, what does not, and the JSON Schema of it."""

import contextlib
import timeit
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apprentice.schema import Leaf, SchemaError, compile_schema

SPEC: dict[str, Any] = {
    "category": ["billing", "shipping"],
    "priority": "int",
    "score": "float",
    "urgent": "bool",
    "tags": "list[str]",
    "note": "str?",
    "place?": {"city": "str", "zip": "optional[int]"},
    "extra": "dict",
}
VALUE: dict[str, Any] = {
    "category": "billing",
    "priority": 1,
    "score": 0.5,
    "urgent": False,
    "tags": ["a"],
    "note": None,
    "place": {"city": "Bern"},
    "extra": {"any": [1, None, {"thing": True}]},
}


def test_a_value_that_fits_comes_back_unchanged() -> None:
    assert compile_schema(SPEC).validate(VALUE) == VALUE


def test_optional_fields_may_be_missing_or_null() -> None:
    value = {key: item for key, item in VALUE.items() if key not in ("note", "place")}
    assert compile_schema(SPEC).validate(value) == value
    assert compile_schema(SPEC).validate({**value, "place": None})["place"] is None


def test_a_whole_number_becomes_a_float_where_one_is_expected() -> None:
    score = compile_schema(SPEC).validate({**VALUE, "score": 1})["score"]
    assert (score, type(score)) == (1.0, float)


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("priority", "3", "priority: expected a whole number"),
        ("priority", True, "priority: expected a whole number"),
        ("priority", 1.0, "priority: expected a whole number"),
        ("priority", None, "priority: expected a whole number"),
        ("priority", 2**63, "priority: expected a whole number of at most 64 bits"),
        ("priority", 10**1000, "priority: expected a whole number of at most 64 bits"),
        ("score", float("nan"), "score: expected a finite number"),
        ("score", float("inf"), "score: expected a finite number"),
        ("score", True, "score: expected a number"),
        ("score", 10**400, "score: expected a number"),
        ("urgent", 0, "urgent: expected true or false"),
        ("category", "refund", "category: expected one of 'billing', 'shipping'"),
        ("category", ["billing"], "category: expected one of 'billing', 'shipping'"),
        ("tags", ("a",), "tags: expected a list"),
        ("tags", ["a", 1], "tags[1]: expected text"),
        ("note", "\ud800", "note: text holds half of a surrogate pair, which is no character"),
        ("note", b"a", "note: expected text"),
        ("place", {"zip": 1}, "place.city: is missing"),
        ("place", {"city": "a", "street": "b"}, "place.street: is not a field of this schema"),
        ("extra", {"a": {"b": float("nan")}}, "extra.a.b: expected a finite number"),
        ("extra", {"a": object()}, "extra.a: expected JSON, got object"),
        ("extra", {"a": {1: 2}}, "extra.a: every key must be text"),
        ("unknown", 1, "unknown: is not a field of this schema"),
    ],
)
def test_a_value_that_does_not_fit_names_its_field(field: str, value: object, problem: str) -> None:
    with pytest.raises(SchemaError) as caught:
        compile_schema(SPEC).validate({**VALUE, field: value})
    assert str(caught.value) == problem


@pytest.mark.parametrize("value", [None, [], "text", 3, [VALUE]])
def test_only_an_object_fits(value: object) -> None:
    with pytest.raises(SchemaError, match="expected an object"):
        compile_schema(SPEC).validate(value)


def test_all_problems_are_named_and_no_value_is_quoted() -> None:
    secret = "4111 1111 1111 1111"
    with pytest.raises(SchemaError) as caught:
        compile_schema(SPEC).validate({**VALUE, "priority": secret, "category": secret, "urgent": secret})
    assert [path for path, _ in caught.value.problems] == ["category", "priority", "urgent"]
    assert secret not in str(caught.value)


def test_nesting_without_end_is_refused() -> None:
    deep: dict[str, Any] = {}
    inner = deep
    for _ in range(5000):
        inner["a"] = {}
        inner = inner["a"]
    inner["loop"] = deep
    with pytest.raises(SchemaError, match="nested"):
        compile_schema(SPEC).validate({**VALUE, "extra": deep})


def test_literals_are_told_apart_by_type() -> None:
    schema = compile_schema({"x": [1, True, "1", "{a}", None]})
    for value in (1, True, "1", "{a}", None):
        assert schema.validate({"x": value})["x"] is value
    for other in (1.0, 0, False, "true"):
        with pytest.raises(SchemaError, match=r"x: expected one of 1, True, '1', '\{a\}'"):
            schema.validate({"x": other})


def test_field_names_that_python_keeps_for_itself_are_fine() -> None:
    spec = dict.fromkeys(["class", "copy", "json", "model_dump", "_private", "__init__", "größe", "a-b"], "int")
    value = dict.fromkeys(spec, 1)
    assert compile_schema(spec).validate(value) == value


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ({}, "needs at least one field"),
        ({"a": "strr"}, "a: unknown type 'strr'; did you mean str?"),
        ({"a": {"b": "list[flot]"}}, "a.b: unknown type 'flot'; did you mean float?"),
        ({"a": {}}, "a: needs at least one field"),
        ({"a": []}, "a: a list of literals needs 1 to"),
        ({"a": [None]}, "a: a list of literals needs 1 to"),
        ({"a": [0.5]}, "a: a literal is text, a whole number or a boolean, not a number with a fraction"),
        ({"a": [["b"]]}, "a: a literal is text, a whole number or a boolean, not a list or mapping"),
        ({"a": ["b", "b"]}, "a: a literal is listed twice"),
        ({"a": 3}, "a: expected a type like str"),
        ({"a": None}, "a: expected a type like str"),
        ({"a.b": "str"}, "a.b: a field name is text without spaces, dots or brackets"),
        ({"a": "str", "a?": "str"}, "a: is there twice"),
        ({"a": "list[" * 40 + "str" + "]" * 40}, "a: nested deeper than 16 levels"),
        ({"a": {1, 2}}, "a: expected a type like str"),
    ],
)
def test_a_malformed_schema_names_its_field(spec: dict[str, Any], problem: str) -> None:
    with pytest.raises(SchemaError) as caught:
        compile_schema(spec)
    assert str(caught.value).startswith(problem)


def test_the_leaves_describe_every_value() -> None:
    assert compile_schema(SPEC).fields == (
        Leaf("category", "enum", ("billing", "shipping")),
        Leaf("priority", "int"),
        Leaf("score", "float"),
        Leaf("urgent", "bool"),
        Leaf("tags", "list", item="str"),
        Leaf("note", "str", optional=True),
        Leaf("place.city", "str", optional=True),
        Leaf("place.zip", "int", optional=True),
        Leaf("extra", "dict"),
    )


def test_paths_name_values_and_objects() -> None:
    schema = compile_schema(SPEC)
    assert all(schema.has(path) for path in [*schema.paths, "place", "extra.anything.at.all"])
    assert not any(schema.has(path) for path in ("", "plac", "place.town", "tags.0", "category.billing"))


def test_the_json_schema_is_a_copy() -> None:
    compile_schema(SPEC).json_schema().clear()
    assert compile_schema(SPEC).json_schema()["required"] == [
        "category", "priority", "score", "urgent", "tags", "extra",
    ]  # fmt: skip


names = st.text(alphabet="abcdefgh", min_size=1, max_size=4)
literals = st.lists(st.text(max_size=4) | st.integers(-5, 5), min_size=1, max_size=4, unique_by=lambda x: (type(x), x))
types = st.recursive(
    st.sampled_from(["str", "int", "float", "bool", "dict", "list", "list[int]", "str?", "optional[float]"]) | literals,
    lambda inner: st.dictionaries(names, inner, min_size=1, max_size=3),
    max_leaves=6,
)
specs = st.dictionaries(names, types, min_size=1, max_size=4)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)


def fitting(spec: Any) -> st.SearchStrategy[Any]:
    """Values that fit a spec."""
    simple: dict[str, st.SearchStrategy[Any]] = {
        "str": st.text(max_size=4),
        "int": st.integers(-(2**62), 2**62),
        "float": st.floats(allow_nan=False, allow_infinity=False),
        "bool": st.booleans(),
        "dict": st.dictionaries(names, json_values, max_size=2),
        "list": st.lists(json_values, max_size=2),
        "list[int]": st.lists(st.integers(-9, 9), max_size=3),
        "str?": st.none() | st.text(max_size=4),
        "optional[float]": st.none() | st.floats(0, 1),
    }
    if isinstance(spec, str):
        return simple[spec]
    if isinstance(spec, list):
        return st.sampled_from(spec)
    return st.fixed_dictionaries({key: fitting(inner) for key, inner in spec.items()})


@given(st.data())
def test_what_fits_is_accepted_and_agrees_with_its_json_schema(data: st.DataObject) -> None:
    spec = data.draw(specs)
    value = data.draw(fitting(spec))
    schema = compile_schema(spec)
    assert schema.validate(value) == value
    jsonschema.validate(value, schema.json_schema())


@given(specs, json_values)
def test_any_json_is_accepted_or_refused_by_a_schema_error(spec: dict[str, Any], value: Any) -> None:
    schema = compile_schema(spec)
    with contextlib.suppress(SchemaError):
        jsonschema.validate(schema.validate(value), schema.json_schema())


def test_checking_a_value_takes_microseconds_with_compilation_kept() -> None:
    schema = compile_schema(SPEC)
    assert compile_schema(dict(SPEC)) is schema
    each = min(timeit.repeat(lambda: compile_schema(SPEC).validate(VALUE), number=500, repeat=5)) / 500
    assert each < 200e-6
