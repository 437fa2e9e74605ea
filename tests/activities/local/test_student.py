"""The student learns from data alone, always answers in the schema's terms, and knows how sure it is."""

import json
import random
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from activities.local.embedded.student import Student, UnreadableModel
from apprentice.schema import compile_schema
from client.cli.generated_tickets import OUTPUT_SCHEMA, generate

type Data = dict[str, Any]


def split(rows: list[Data]) -> tuple[list[Data], list[Data]]:
    return [row["input"] for row in rows], [row["output"] for row in rows]


def bookings(n: int, seed: int) -> list[Data]:
    rng = random.Random(seed)
    names = [
        "Ada",
        "Noor",
        "Kwame",
        "Ines",
        "Bela",
        "Yuki",
        "Omar",
        "Rosa",
        "Finn",
        "Leyla",
        "Tariq",
        "Mei",
        "Sven",
        "Zoe",
    ]
    rows = []
    for _ in range(n):
        name = rng.choice(names) + rng.choice(["", "son", "ov", "ez", "ka", "lin"])
        people, hour = rng.randint(2, 60), f"{rng.randint(1, 12)}{rng.choice([' pm', 'am', ':30'])}"
        text, output = rng.choice(
            [
                (f"A table for {people} at {hour} please", {"people": people, "time": hour, "name": None}),
                (f"my name is {name}", {"people": None, "time": None, "name": name}),
                (f"This is {name}, we come at {hour}", {"people": None, "time": hour, "name": name}),
                ("what can you do for me?", {"people": None, "time": None, "name": None}),
                (f"{people} of us", {"people": people, "time": None, "name": None}),
            ]
        )
        rows.append({"input": {"text": text}, "output": output})
    return rows


BOOKING_SCHEMA = {"people": "int?", "time": "str?", "name": "str?"}


@pytest.fixture(scope="module")
def ticket_student() -> Student:
    return Student.fit(*split(list(generate(800, random.Random(1)))), OUTPUT_SCHEMA, seed=3)


def test_categories_of_unseen_tickets_agree_with_the_teacher(ticket_student: Student) -> None:
    inputs, outputs = split(list(generate(500, random.Random(2))))
    answers = [prediction.output for prediction in ticket_student.predict_many(inputs)]
    matches = [a[field] == b[field] for a, b in zip(answers, outputs, strict=True) for field in b]
    assert sum(matches) / len(matches) > 0.93


def test_values_that_are_pieces_of_the_text_are_cut_out_even_if_never_seen_before() -> None:
    student = Student.fit(*split(bookings(300, 1)), BOOKING_SCHEMA)
    inputs, outputs = split(bookings(200, 2))
    right = [p.output == output for p, output in zip(student.predict_many(inputs), outputs, strict=True)]
    assert sum(right) / len(right) > 0.95
    assert student.predict({"text": "my name is Quasimodov"}).output == {
        "people": None,
        "time": None,
        "name": "Quasimodov",
    }


def test_numbers_lists_and_nested_objects_are_learned() -> None:
    rng = random.Random(0)
    rows = []
    for _ in range(400):
        size, tags = (
            rng.randint(0, 1000),
            rng.sample(["red", "green", "blue", "loud", "soft", "new"], rng.randint(0, 4)),
        )
        tags.sort()
        vip = rng.random() < 0.5
        inner = {"kind": "vip", "level": 3} if vip else None
        rows.append(
            {
                "input": {"size": size, "text": "it is " + " and ".join(tags), "meta": {"vip": vip, "n": [1, None]}},
                "output": {"price": 2 * size + 5, "tags": tags, "who": inner, "vip": vip},
            }
        )
    schema = {"price": "int", "tags": "list[str]", "who?": {"kind": ["vip", "guest"], "level": "int"}, "vip": "bool"}
    inputs, outputs = split(rows)
    student = Student.fit(inputs[:300], outputs[:300], schema)
    answers = [prediction.output for prediction in student.predict_many(inputs[300:])]
    pairs = list(zip(answers, outputs[300:], strict=True))
    assert sum(abs(a["price"] - b["price"]) for a, b in pairs) / 100 < 40
    assert sum(a["tags"] == b["tags"] for a, b in pairs) > 90
    assert all(a["who"] == b["who"] and a["vip"] is b["vip"] for a, b in pairs)


def test_confidence_is_the_share_of_answers_that_agree(ticket_student: Student) -> None:
    student = Student.fit(*split(list(generate(250, random.Random(5)))), OUTPUT_SCHEMA)
    inputs, outputs = split(list(generate(1500, random.Random(6))))
    scored = sorted(
        (p.confidence, p.output == output) for p, output in zip(student.predict_many(inputs), outputs, strict=True)
    )
    error = 0.0
    for begin in range(0, 1500, 150):
        part = scored[begin : begin + 150]
        error += abs(sum(c for c, _ in part) - sum(right for _, right in part)) / 1500
    assert error < 0.12
    unsure, sure = scored[:300], scored[-300:]
    assert sum(right for _, right in unsure) < 0.85 * sum(right for _, right in sure)


def test_the_same_data_and_seed_give_the_same_answers_one_by_one_and_in_bulk(ticket_student: Student) -> None:
    again = Student.fit(*split(list(generate(800, random.Random(1)))), OUTPUT_SCHEMA, seed=3)
    inputs, _ = split(list(generate(40, random.Random(9))))
    bulk = ticket_student.predict_many(inputs)
    for data, one in zip(inputs, bulk, strict=True):
        single, other = ticket_student.predict(data), again.predict(data)
        assert single.output == one.output == other.output
        assert single.confidence == pytest.approx(one.confidence, abs=1e-5)
        assert single.confidence == pytest.approx(other.confidence, abs=1e-9)


def test_a_short_text_is_answered_in_under_five_milliseconds(ticket_student: Student) -> None:
    inputs, _ = split(list(generate(300, random.Random(4))))
    ticket_student.predict(inputs[0])
    took = []
    for data in inputs:
        begin = time.perf_counter()
        ticket_student.predict(data)
        took.append(time.perf_counter() - begin)
    assert sorted(took)[150] < 0.005


@pytest.mark.parametrize("count", [1, 2, 3])
def test_very_few_examples_are_enough_to_answer(count: int) -> None:
    outputs = [{"c": "a"}, {"c": "b"}, {"c": "a"}][:count]
    student = Student.fit([{"text": "x"}, {"text": "y"}, {"text": ""}][:count], outputs, {"c": ["a", "b", "z"]})
    assert student.predict({"text": "x"}).output["c"] in ("a", "b")


def test_no_example_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one example"):
        Student.fit([], [], {"c": "str"})


@pytest.mark.parametrize(
    "data",
    [{}, {"text": ""}, {"text": None}, {"other": [1, {"a": "b"}]}, {"text": "x" * 100_000}, {"text": "am " * 33_000}],
)
def test_odd_inputs_get_valid_answers(ticket_student: Student, data: Data) -> None:
    begin = time.perf_counter()
    assert compile_schema(OUTPUT_SCHEMA).validate(ticket_student.predict(data).output)
    assert time.perf_counter() - begin < 2


def test_a_teacher_that_breaks_the_schema_is_not_imitated() -> None:
    outputs = [{"c": "nonsense"}] * 30 + [{"c": "a"}, {"c": "b"}]
    student = Student.fit([{"text": f"t{n}"} for n in range(32)], outputs, {"c": ["a", "b"]})
    assert student.predict({"text": "t1"}).output["c"] in ("a", "b")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**62), 2**62) | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
RICH_SCHEMA = {
    "s": "str",
    "i": "int",
    "f?": "float",
    "b": "bool",
    "e": ["x", "y", None],
    "l": "list[int]",
    "d": "dict",
    "n?": {"m": "str"},
}
outputs_of_rich_schema = st.fixed_dictionaries(
    {
        "s": st.text(max_size=8),
        "i": st.integers(-50, 50),
        "f": st.none() | st.floats(-9, 9),
        "b": st.booleans(),
        "e": st.sampled_from(["x", "y", None]),
        "l": st.lists(st.integers(0, 3), max_size=3),
        "d": st.dictionaries(st.text(max_size=2), st.integers(0, 2), max_size=2),
        "n": st.none() | st.fixed_dictionaries({"m": st.text(max_size=3)}),
    }
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.tuples(st.dictionaries(st.text(max_size=5), json_values, max_size=4), outputs_of_rich_schema),
        min_size=1,
        max_size=15,
    ),
    st.dictionaries(st.text(max_size=5), json_values, max_size=4),
)
def test_whatever_it_learned_its_output_fits_the_schema(rows: list[tuple[Data, Data]], unseen: Data) -> None:
    student = Student.fit([data for data, _ in rows], [output for _, output in rows], RICH_SCHEMA)
    for prediction in student.predict_many([unseen, *(data for data, _ in rows)]):
        compile_schema(RICH_SCHEMA).validate(prediction.output)
        assert 0.0 < prediction.confidence < 1.0


def test_a_saved_student_answers_as_before(ticket_student: Student, tmp_path: Path) -> None:
    ticket_student.save(tmp_path / "v0001")
    loaded = Student.load(tmp_path / "v0001")
    inputs, _ = split(list(generate(20, random.Random(8))))
    assert loaded.predict_many(inputs) == ticket_student.predict_many(inputs)


def test_a_missing_damaged_or_foreign_model_is_refused_by_name(ticket_student: Student, tmp_path: Path) -> None:
    with pytest.raises(UnreadableModel, match="no readable model"):
        Student.load(tmp_path / "nowhere")
    ticket_student.save(tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    (tmp_path / "manifest.json").write_text(json.dumps(manifest | {"scikit_learn": "0.1"}))
    with pytest.raises(UnreadableModel, match=r"made with scikit-learn 0\.1"):
        Student.load(tmp_path)
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    content = bytearray((tmp_path / "model.joblib").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "model.joblib").write_bytes(content)
    with pytest.raises(UnreadableModel, match="damaged"):
        Student.load(tmp_path)


def test_numbers_are_read_as_people_write_them() -> None:
    rng = random.Random(0)
    rows = []
    words = {1: "one", 3: "three", 12: "twelve", 25: "twenty-five"}
    for _ in range(300):
        number = rng.choice([rng.randint(1000, 99_999), *words])
        price = rng.randint(100, 99_999) / 100
        written, end = words.get(number, f"{number:,}"), rng.choice(["please", "now"])
        text = f"send {written} boxes for {price:.2f} dollars each, {end}"
        rows.append({"input": {"text": text}, "output": {"boxes": number, "price": price}})
    inputs, outputs = split(rows)
    student = Student.fit(inputs[:200], outputs[:200], {"boxes": "int", "price": "float"})
    answers = [prediction.output for prediction in student.predict_many(inputs[200:])]
    assert sum(a == b for a, b in zip(answers, outputs[200:], strict=True)) > 95


@pytest.mark.parametrize("form", [str.lower, str.upper, str.title])
def test_a_teacher_that_writes_what_it_cut_out_in_its_own_way_is_followed(form: Any) -> None:
    rng = random.Random(0)
    rows = []
    for _ in range(200):
        town = "".join(rng.choices("abcdefgh", k=6))
        text = f"a room in {rng.choice([str.lower, str.title, str.upper])(town)} from {rng.choice(['monday', 'june'])}"
        rows.append({"input": {"text": text}, "output": {"town": form(town)}})
    inputs, outputs = split(rows)
    student = Student.fit(inputs[:150], outputs[:150], {"town": "str"})
    answers = [prediction.output for prediction in student.predict_many(inputs[150:])]
    assert answers == outputs[150:]


def test_the_middle_of_a_range_and_the_length_of_a_list_are_told() -> None:
    rng = random.Random(0)
    inputs: list[Data] = [{"size": rng.uniform(0, 100), "items": ["x"] * rng.randint(0, 30)} for _ in range(600)]
    outputs = [{"middle": 30 < data["size"] < 60, "many": len(data["items"]) > 12} for data in inputs]
    student = Student.fit(inputs[:400], outputs[:400], {"middle": "bool", "many": "bool"})
    answers = [prediction.output for prediction in student.predict_many(inputs[400:])]
    assert sum(a["middle"] == b["middle"] for a, b in zip(answers, outputs[400:], strict=True)) > 185
    assert sum(a["many"] == b["many"] for a, b in zip(answers, outputs[400:], strict=True)) > 185


def test_a_rare_class_is_not_cried_at_every_turn() -> None:
    rng = random.Random(0)
    words = ["".join(rng.choices("abcdefghijkl", k=5)) for _ in range(200)]
    inputs = [{"text": " ".join(rng.choices(words, k=8))} for _ in range(900)]
    outputs = [{"rare": rng.random() < 0.03} for _ in inputs]
    student = Student.fit(inputs[:600], outputs[:600], {"rare": "bool"})
    answers = student.predict_many(inputs[600:])
    assert sum(answer.output["rare"] for answer in answers) < 10
