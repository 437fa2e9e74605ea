"""The demonstration's tickets: repeatable, varied, valid, and as learnable as its story needs."""

import random
from collections import Counter

from activities.local.embedded.student import Student
from apprentice.schema import compile_schema
from client.cli.generated_tickets import CATEGORIES, OUTPUT_SCHEMA, PRIORITIES, generate


def test_the_same_seed_gives_the_same_tickets() -> None:
    assert list(generate(50, random.Random(4))) == list(generate(50, random.Random(4)))
    assert list(generate(50, random.Random(4))) != list(generate(50, random.Random(5)))


def test_tickets_are_varied_complete_and_fit_the_schema() -> None:
    rows = list(generate(2000, random.Random(0)))
    texts = [row["input"]["text"] for row in rows]
    assert len(set(texts)) > 1940
    assert not any("{" in text or "  " in text or text != text.strip() for text in texts)
    for row in rows:
        compile_schema(OUTPUT_SCHEMA).validate(row["output"])
    categories = Counter(row["output"]["category"] for row in rows)
    priorities = Counter(row["output"]["priority"] for row in rows)
    assert all(categories[category] > 150 for category in CATEGORIES)
    assert all(priorities[priority] > 200 for priority in PRIORITIES)


def test_a_student_learns_them_slowly_enough_to_watch_and_well_enough_to_take_over() -> None:
    rows = list(generate(2000, random.Random(0)))
    held = rows[1000:]
    agreement = {}
    for size in (50, 150, 800):
        train = rows[:size]
        student = Student.fit([row["input"] for row in train], [row["output"] for row in train], OUTPUT_SCHEMA)
        answers = [prediction.output for prediction in student.predict_many([row["input"] for row in held])]
        agreement[size] = sum(
            answer[field] == row["output"][field] for answer, row in zip(answers, held, strict=True) for field in answer
        ) / (2 * len(held))
    assert agreement[50] < 0.65
    assert 0.7 < agreement[150] < 0.88
    assert 0.95 < agreement[800] < 0.995
