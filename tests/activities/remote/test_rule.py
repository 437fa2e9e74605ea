"""The invented teacher: fits any schema, says the same for ever, can be learned."""

import random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from activities.remote.rule import LABELS, answer, words_of, wrong_answer
from apprentice.schema import compile_schema

ANYTHING = {
    "category": ["billing", "shipping", "other"],
    "mixed": [1, True, "x"],
    "maybe": ["a", None],
    "text": "str",
    "count": "int",
    "share": "float",
    "flag": "bool",
    "free": "dict",
    "tags": "list[str]",
    "any": "list",
    "grid": "list[list[int]]",
    "perhaps": "optional[float]",
    "note": "str?",
    "nested": {"inner": {"deep": "int?"}, "flags": "list[bool]"},
    "address?": {"city": "str"},
}
NAMES = ["str", "int", "float", "bool", "dict", "list", "list[int]", "list[list[str]]", "int?", "list[dict]?"]
TYPES = st.sampled_from(NAMES)
INT64 = st.integers(-(2**63) + 1, 2**63 - 1)
LITERALS = st.one_of(st.text("abcdefg", min_size=1), INT64, st.booleans())
ENUMS = st.lists(LITERALS, min_size=1, max_size=6, unique_by=repr)
SCHEMAS = st.recursive(
    st.dictionaries(st.text("xyz_", min_size=1, max_size=5), TYPES | ENUMS, min_size=1, max_size=5),
    lambda inner: st.dictionaries(st.text("pqr", min_size=1, max_size=5), inner | TYPES, min_size=1, max_size=3),
)
INPUTS = st.dictionaries(st.text(), st.text() | st.integers() | st.lists(st.text()))


def rows(count: int) -> list[dict[str, Any]]:
    coins = random.Random(7)
    words = ["refund", "card", "invoice", "parcel", "late", "broken", "login", "password", "cancel", "order", "box"]
    words += ["the", "my", "is", "not", "please", "help"]
    return [{"text": " ".join(coins.choices(words, k=8))} for _ in range(count)]


@given(schema=SCHEMAS, input=INPUTS, seed=st.integers())
def test_every_answer_fits_its_schema(schema: dict[str, Any], input: dict[str, Any], seed: int) -> None:
    compiled = compile_schema(schema)
    output = answer(compiled.root, words_of(input), str(seed))
    assert compiled.validate(output) == output
    wrong = wrong_answer(compiled.root, output, random.Random(seed))
    assert compiled.validate(wrong) == wrong


def test_every_type_takes_every_kind_of_value() -> None:
    compiled = compile_schema(ANYTHING)
    outputs = [compiled.validate(answer(compiled.root, words_of(row), "0")) for row in rows(300)]
    assert {output["category"] for output in outputs} == {"billing", "shipping", "other"}
    assert {output["text"] for output in outputs} == set(LABELS)
    assert {output["count"] for output in outputs} == {1, 2, 3, 4, 5}
    assert {output["flag"] for output in outputs} == {True, False}
    assert {output["note"] is None for output in outputs} == {True, False}
    assert {len(output["tags"]) for output in outputs} >= {1, 2, 3}
    assert len({output["share"] for output in outputs}) > 20
    assert all(0 <= output["share"] <= 1 for output in outputs)


def test_the_answers_are_the_same_in_every_process_and_release() -> None:
    schema = compile_schema({"category": ["billing", "shipping", "other"], "urgent": "bool", "share": "float"}).root
    assert answer(schema, words_of({"text": "My card is BROKEN!", "n": [3]}), "0") == PINNED


PINNED = {"category": "shipping", "urgent": False, "share": 0.46}


def test_only_the_words_matter() -> None:
    schema = compile_schema(ANYTHING).root
    one, two = words_of({"a": "Card broken, help"}), words_of({"b": ["help", {"c": "broken card card"}]})
    assert answer(schema, one, "0") == answer(schema, two, "0")


def test_another_seed_is_another_teacher() -> None:
    schema = compile_schema({"category": ["a", "b", "c", "d"]}).root
    differing = sum(answer(schema, words_of(row), "0") != answer(schema, words_of(row), "1") for row in rows(200))
    assert differing > 60


def test_a_linear_student_learns_the_rule() -> None:
    schema = compile_schema({"category": ["a", "b", "c", "d"]}).root
    texts = rows(600)
    labels = [answer(schema, words_of(row), "0")["category"] for row in texts]
    words = CountVectorizer(binary=True).fit_transform([row["text"] for row in texts])
    student = LogisticRegression(max_iter=1000).fit(words[:400], labels[:400])
    commonest = max(labels.count(label) for label in set(labels)) / len(labels)
    assert student.score(words[400:], labels[400:]) > max(0.9, commonest + 0.1)


def test_a_wrong_answer_differs_in_one_field() -> None:
    schema = compile_schema({"category": ["a", "b"], "flag": "bool", "only": ["x"]}).root
    right = answer(schema, words_of({"text": "card"}), "0")
    for seed in range(50):
        wrong = wrong_answer(schema, right, random.Random(seed))
        assert sum(wrong[name] != right[name] for name in right) == 1
