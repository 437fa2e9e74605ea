"""The examples that a model is shown cover the outputs and the inputs, and are few and small."""

import random
from collections import Counter
from typing import Any

import pytest

from apprentice.demonstrations import MOST_KINDS, MOST_VALUES, POOL, choose, class_fields, sample
from client.cli.generated_tickets import OUTPUT_SCHEMA, generate

type Row = tuple[dict[str, Any], dict[str, Any]]


def tickets(count: int, seed: int = 0) -> list[Row]:
    return [(row["input"], row["output"]) for row in generate(count, random.Random(seed))]


def chosen(rows: list[Row], fields: list[str], count: int = 8, room: int = 8000, seed: int = 1) -> list[Row]:
    pool = sample(iter(rows), fields, random.Random(seed), room)
    return [(one.input, one.output) for one in choose(pool, count, room)]


def labelled(**counts: int) -> list[Row]:
    rows = [
        ({"text": f"{name} word{n} other{n}"}, {"label": name}) for name, count in counts.items() for n in range(count)
    ]
    random.Random(0).shuffle(rows)
    return rows


def test_every_value_of_every_field_is_shown_where_there_is_room_for_it() -> None:
    fields = [name for name in OUTPUT_SCHEMA if isinstance(OUTPUT_SCHEMA[name], list)]
    rows = tickets(2000)
    shown = chosen(rows, fields)
    for name in fields:
        assert {output[name] for _, output in shown} == {output[name] for _, output in rows}


def test_a_rare_class_is_shown_although_it_is_one_in_a_thousand() -> None:
    shown = chosen(labelled(common=5000, usual=500, rare=5), ["label"])
    counted = Counter(output["label"] for _, output in shown)
    assert counted["rare"] >= 1
    assert counted["common"] > counted["usual"] >= counted["rare"]


def test_with_more_classes_than_examples_the_frequent_ones_are_shown() -> None:
    rows = labelled(**{f"class{n}": 10 * (n + 1) for n in range(20)})
    shown = {output["label"] for _, output in chosen(rows, ["label"], count=5)}
    assert shown == {f"class{n}" for n in range(15, 20)}


def test_of_one_class_inputs_that_differ_are_shown() -> None:
    about = {"invoice": "my invoice is wrong again", "parcel": "the parcel never came", "login": "cannot log in today"}
    rows = [({"text": f"{words}"}, {"label": "complaint"}) for words in about.values() for _ in range(50)]
    shown = [input["text"] for input, _ in chosen(rows, ["label"], count=3)]
    assert sorted(shown) == sorted(about.values())


def test_an_outlier_is_not_the_first_thing_that_is_shown() -> None:
    rows: list[Row] = [({"text": f"refund my order number{n}"}, {"label": "a"}) for n in range(20)]
    rows.insert(0, ({"text": "zxqv jjkw pplm"}, {"label": "a"}))
    assert "refund" in chosen(rows, ["label"], count=1)[0][0]["text"]


def test_the_same_rows_and_seed_give_the_same_examples_and_another_seed_others() -> None:
    rows = tickets(3000)
    fields = class_fields((output for _, output in rows), list(OUTPUT_SCHEMA))
    assert chosen(rows, fields, seed=3) == chosen(rows, fields, seed=3)
    assert chosen(rows, fields, seed=3) != chosen(rows, fields, seed=4)


@pytest.mark.parametrize("room", [150, 400, 1500])
def test_all_together_fit_into_the_room(room: int) -> None:
    pool = sample(iter(tickets(500)), ["category"], random.Random(0), room)
    shown = choose(pool, 8, room)
    assert shown
    assert sum(one.size for one in shown) <= room


def test_text_fields_are_no_classes() -> None:
    outputs = [
        {"label": f"l{n % 3}", "summary": f"text {n}", "deep": {"flag": n % 2 == 0}} for n in range(MOST_VALUES + 1)
    ]
    assert class_fields(iter(outputs), ["label", "summary", "deep.flag", "absent"]) == ["label", "deep.flag", "absent"]


def test_without_any_class_inputs_alone_decide() -> None:
    rows: list[Row] = [({"text": f"subject{n % 5} body"}, {"summary": f"text {n}"}) for n in range(100)]
    shown = chosen(rows, [], count=5)
    assert len({input["text"] for input, _ in shown}) == 5


def test_only_a_bounded_sample_is_in_memory_however_many_rows_and_kinds_there_are() -> None:
    rows = (({"text": f"t{n}"}, {"a": n % 30, "b": n % 37}) for n in range(50_000))
    pool = sample(rows, ["a", "b"], random.Random(0), 1000)
    assert len(pool.candidates()) <= (MOST_KINDS + 1) * POOL
    assert sum(pool.seen.values()) == 50_000
    first, last = (sum(int(one.input["text"][1:]) // 25_000 == half for one in pool.kinds[()]) for half in (0, 1))
    assert min(first, last) > 2
