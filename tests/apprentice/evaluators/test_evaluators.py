"""The evaluators that YAML can name: exact_match, structured_match, custom, semantic_similarity."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apprentice.evaluators import BUILDERS, Evaluator, EvaluatorError, build
from apprentice.evaluators.semantic_similarity import load_encoder, with_encoder
from apprentice.settings import EvaluatorOptions, RemoteSettings, TaskSettings

outputs = st.fixed_dictionaries(
    {},
    optional={
        "kind": st.sampled_from(["letter", "parcel", " Letter ", None]),
        "weight": st.integers(0, 3) | st.floats(0, 3) | st.none(),
        "place": st.fixed_dictionaries({}, optional={"city": st.sampled_from(["Bern", "bern", None])}),
        "tags": st.lists(st.sampled_from("ab"), max_size=3),
    },
)


def settings(evaluator: str, match_fields: Sequence[str] = (), **options: Any) -> TaskSettings:
    return TaskSettings(
        name="mail",
        input_schema={"text": "str"},
        output_schema={"kind": "str", "weight?": "float", "place": {"city": "str"}, "tags": "list[str]"},
        evaluator=evaluator,
        match_fields=list(match_fields),
        evaluator_options=EvaluatorOptions(**options),
        remote=RemoteSettings(provider="simulated", model="gpt-4o"),
    )


@pytest.mark.parametrize("name", ["exact_match", "structured_match"])
@given(one=outputs, other=outputs, as_sets=st.booleans())
def test_a_score_is_symmetric_bounded_and_1_for_equal_outputs(
    name: str, one: dict[str, Any], other: dict[str, Any], as_sets: bool
) -> None:
    evaluator = build(settings(name, lists_as_sets=as_sets, weights={"kind": 0.1, "weight": 0.2, "tags": 0.7}))
    assert evaluator(one, other) == evaluator(other, one)
    assert 0.0 <= evaluator(one, other) <= 1.0
    assert evaluator(one, one) == pytest.approx(1.0)


def test_an_unknown_evaluator_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(EvaluatorError, match="mail: no evaluator 'magic'; there are custom, exact_match, semantic"):
        build(settings("magic"))
    assert sorted(BUILDERS) == ["custom", "exact_match", "semantic_similarity", "structured_match"]


# --- exact_match -----------------------------------------------------------------------------------------------


def test_exact_match_is_all_or_nothing() -> None:
    evaluator = build(settings("exact_match", numeric_tolerance=5.0, lists_as_sets=True))
    answer = {"kind": "letter", "weight": 1, "tags": ["a", "b"]}
    assert evaluator(answer, {**answer, "weight": 1.0, "place": None}) == 1.0
    assert evaluator(answer, {**answer, "weight": 1.1}) == 0.0
    assert evaluator(answer, {**answer, "tags": ["b", "a"]}) == 0.0
    assert evaluator(answer, {**answer, "new": 1}) == 0.0


# --- structured_match ------------------------------------------------------------------------------------------


def test_structured_match_is_the_weighted_share_of_the_matched_fields() -> None:
    evaluator = build(settings("structured_match", ["kind", "weight"], weights={"kind": 3}))
    assert evaluator({"kind": "letter", "weight": 1}, {"kind": "letter", "weight": 2}) == 0.75
    assert evaluator({"kind": "letter", "weight": 1}, {"kind": "parcel", "weight": 1}) == 0.25


def test_structured_match_without_fields_compares_all_of_the_schema() -> None:
    evaluator = build(settings("structured_match"))
    answer = {"kind": "letter", "weight": 1.0, "place": {"city": "Bern"}, "tags": []}
    assert evaluator(answer, {**answer, "weight": 2.0}) == 0.75
    assert evaluator(answer, {**answer, "elsewhere": 1}) == 1.0


def test_structured_match_reaches_into_objects_and_takes_missing_for_null() -> None:
    evaluator = build(settings("structured_match", ["place.city"]))
    assert evaluator({"place": {"city": "Bern"}}, {"place": {"city": "Bern", "zip": 1}}) == 1.0
    assert evaluator({"place": {"city": "Bern"}}, {}) == 0.0
    assert evaluator({"place": {"city": None}}, {}) == 1.0
    assert evaluator({"place": "Bern"}, {"place": None}) == 1.0


def test_structured_match_applies_a_tolerance_to_its_field_only() -> None:
    evaluator = build(settings("structured_match", ["weight", "size"], numeric_tolerance={"weight": 0.5}))
    assert evaluator({"weight": 1.0, "size": 1.0}, {"weight": 1.5, "size": 1.5}) == 0.5


# --- custom ----------------------------------------------------------------------------------------------------


@pytest.fixture
def scores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "our_scores.py").write_text(
        "class Scores:\n"
        "    @staticmethod\n"
        "    def kind(local, remote):\n"
        "        return local['kind'] == remote['kind']\n"
        "def give(local, remote):\n"
        "    return local['score']\n"
        "number = 3\n"
    )
    (tmp_path / "broken_scores.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("our_scores", "broken_scores"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tmp_path


def custom(path: str) -> Evaluator:
    return build(settings("custom", path=path))


@pytest.mark.usefixtures("scores")
def test_a_custom_function_scores() -> None:
    assert custom("our_scores:Scores.kind")({"kind": "a"}, {"kind": "a"}) == 1.0
    assert custom("our_scores:give")({"score": 0.25}, {}) == 0.25


@pytest.mark.usefixtures("scores")
@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("our_scores", "must be `package.module:function`"),
        ("", "must be `package.module:function`"),
        ("our_scores:missing", "our_scores has no missing"),
        ("no_such_module_here:f", "cannot import it"),
        ("broken_scores:f", "importing it raised ZeroDivisionError"),
        ("our_scores:number", "is not callable, but a int"),
    ],
)
def test_a_custom_function_that_cannot_be_had_is_a_clear_error(path: str, problem: str) -> None:
    with pytest.raises(EvaluatorError, match=problem):
        custom(path)


@pytest.mark.usefixtures("scores")
@pytest.mark.parametrize("score", [1.5, -0.1, float("nan"), float("inf"), "0.5", None, [], 10**400])
def test_a_custom_score_out_of_bounds_is_a_clear_error(score: Any) -> None:
    with pytest.raises(EvaluatorError, match="our_scores:give must return a number from 0 to 1"):
        custom("our_scores:give")({"score": score}, {})


@pytest.mark.usefixtures("scores")
def test_a_custom_function_that_raises_is_named_without_its_data() -> None:
    with pytest.raises(EvaluatorError) as caught:
        custom("our_scores:give")({"secret": 1}, {})
    assert str(caught.value) == "custom evaluator our_scores:give raised KeyError"


# --- semantic_similarity ---------------------------------------------------------------------------------------


class Letters:
    """Texts as their letter counts: similar spelling, similar vector."""

    def encode(self, sentences: list[str]) -> list[list[float]]:
        return [[float(text.count(letter)) - text.count("-") for letter in "abcdefghij"] for text in sentences]


def semantic(*fields: str) -> Evaluator:
    return with_encoder(settings("semantic_similarity", fields), Letters)


def test_texts_score_their_cosine_and_other_fields_as_in_structured_match() -> None:
    assert semantic("kind")({"kind": "ab"}, {"kind": "a"}) == pytest.approx(0.5**0.5)
    assert semantic("kind", "weight")({"kind": "a", "weight": 1}, {"kind": "b", "weight": 1}) == 0.5
    assert semantic("kind")({"kind": "a"}, {}) == 0.0


def test_opposite_texts_score_0_not_less() -> None:
    assert semantic("kind")({"kind": "a"}, {"kind": "-"}) == 0.0
    assert semantic("kind")({"kind": "xyz"}, {"kind": "zyx"}) == 0.0


@given(st.text("abc-x", max_size=6), st.text("abc-x", max_size=6))
def test_similarity_is_symmetric_bounded_and_1_for_equal_texts(a: str, b: str) -> None:
    evaluator = semantic("kind")
    assert 0.0 <= evaluator({"kind": a}, {"kind": b}) <= 1.0
    assert evaluator({"kind": a}, {"kind": b}) == pytest.approx(evaluator({"kind": b}, {"kind": a}))
    assert evaluator({"kind": a}, {"kind": a}) == 1.0


def test_equal_texts_need_no_model() -> None:
    def never() -> Letters:
        raise AssertionError("loaded")

    assert with_encoder(settings("semantic_similarity", ["kind"]), never)({"kind": "a"}, {"kind": " a "}) == 1.0


def test_without_the_extra_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(EvaluatorError, match=r"mail: semantic_similarity needs .*pip install 'apprentice\[semantic\]'"):
        build(settings("semantic_similarity"))


def test_a_model_that_does_not_load_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(EvaluatorError, match="cannot load the sentence-transformers model 'no-model'"):
        load_encoder("no-model")
