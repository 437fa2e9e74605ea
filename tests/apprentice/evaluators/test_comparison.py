"""Properties that every evaluator keeps, and the rules for each kind of value."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apprentice.evaluators.comparison import Comparison
from apprentice.settings import EvaluatorOptions

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=4)
    | st.sampled_from(["a", "A", " a ", "ß", "SS", "a\u0308", "ä", 1, 1.0, 1.05]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
options = st.builds(
    EvaluatorOptions,
    numeric_tolerance=st.sampled_from([0.0, 0.1, {"a": 0.1}]),
    ignore_case=st.booleans(),
    ignore_whitespace=st.booleans(),
    lists_as_sets=st.booleans(),
)


def score(a: Any, b: Any, path: str = "", **changes: Any) -> float:
    return Comparison(EvaluatorOptions(**changes)).score(a, b, path)


@given(options, values, values)
def test_agreement_is_symmetric_and_between_0_and_1(options: EvaluatorOptions, a: Any, b: Any) -> None:
    comparison = Comparison(options)
    assert 0.0 <= comparison.score(a, b) <= 1.0
    assert comparison.score(a, b) == comparison.score(b, a)


@given(options, values)
def test_a_value_agrees_with_itself(options: EvaluatorOptions, value: Any) -> None:
    assert Comparison(options).score(value, value) == 1.0


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (None, None, 1),
        (None, 0, 0),
        (None, "", 0),
        (1, 1.0, 1),
        (1, True, 0),
        (False, 0, 0),
        ("1", 1, 0),
        ([], {}, 0),
        ([], [], 1),
        ({}, {}, 1),
        ([1, 2, 3], [1, 2], 2 / 3),
        ([1, 2], [2, 1], 0),
        ({"a": 1, "b": 2}, {"a": 1, "b": 3}, 0.5),
        ({"a": 1, "b": None}, {"a": 1}, 1),
        ({"a": 1, "b": 2}, {"a": 1}, 0.5),
        (10**400, 1.5, 0),
        (float("inf"), float("inf"), 1),
        (float("nan"), 1.0, 0),
    ],
)
def test_values_agree_by_type_and_content(a: Any, b: Any, expected: float) -> None:
    assert score(a, b) == expected


@pytest.mark.parametrize(
    ("a", "b", "changes", "expected"),
    [
        ("New  York\n", "New York", {}, 1),
        ("New  York", "New York", {"ignore_whitespace": False}, 0),
        ("Bern", "bern", {}, 0),
        ("Bern", "bern", {"ignore_case": True}, 1),
        ("STRASSE", "straße", {"ignore_case": True}, 1),
        ("Zu\u0308rich", "Zürich", {"ignore_whitespace": False}, 1),
    ],
)
def test_text_follows_the_case_and_white_space_rules(a: str, b: str, changes: dict[str, Any], expected: float) -> None:
    assert score(a, b, **changes) == expected


def test_tolerance_means_what_is_written_despite_rounding() -> None:
    assert abs(0.8 - 0.7) > 0.1
    assert score(0.8, 0.7, numeric_tolerance=0.1) == 1
    assert score(0.8, 0.69, numeric_tolerance=0.1) == 0
    assert score(1, 1 + 1e-12) == 0


def test_tolerance_of_a_field_holds_for_all_that_lies_in_it() -> None:
    tolerance = {"size": 1, "size.depth": 0}
    assert score({"width": 3, "depth": 3}, {"width": 4, "depth": 4}, "size", numeric_tolerance=tolerance) == 0.5
    assert score(3, 4, "sizes", numeric_tolerance=tolerance) == 0


def test_lists_as_sets_are_scored_by_overlap() -> None:
    assert score(["a", "b", "b"], ["B ", "c"], lists_as_sets=True, ignore_case=True) == 1 / 3
    assert score([{"x": 1, "y": None}], [{"x": 1.0}], lists_as_sets=True) == 1
    assert score([1], [True], lists_as_sets=True) == 0
    assert score([[1, 2]], [[2, 1]], lists_as_sets=True) == 1
