"""Streams of a student that was really trained: its scores, and how new its inputs are, before and after a change."""

import json
import random
import statistics
from pathlib import Path
from typing import Any, NamedTuple

from rich.table import Table

from activities.local.embedded.student import Student
from apprentice.confidence.inputs import InputWatch
from apprentice.novelty import Profile
from benchmarks.student import schema_of

TAUGHT, HELD = 2000, 2000
REWORDED = 0.25
BEFORE, AFTER = 2000, 2000


class Seen(NamedTuple):
    """One request: whether the student agreed, how sure it was, how new the input was."""

    score: float
    confidence: float
    novelty: float


class TaughtStudent(NamedTuple):
    """What it makes of held-out requests: as they were, of its worst classes, reworded, and of another field."""

    usual: list[Seen]
    mix: list[Seen]
    vocabulary: list[Seen]
    foreign: list[Seen]

    @classmethod
    def of(cls, data: Path, seed: int) -> "TaughtStudent":
        """Trains on rows drawn at random, on those of the classes that are not kept for later."""
        rng = random.Random(seed)
        rows = [json.loads(line) for line in data.read_text(encoding="utf-8").splitlines()]
        rng.shuffle(rows)
        taught, held = rows[:TAUGHT], rows[TAUGHT : TAUGHT + HELD]
        inputs, outputs = [row["input"] for row in taught], [row["output"] for row in taught]
        student = Student.fit(inputs, outputs, schema_of(rows), seed=seed)
        profile = Profile.of(zip(inputs, outputs, strict=True))

        def seen(rows: list[dict[str, Any]]) -> list[Seen]:
            predictions = student.predict_many([row["input"] for row in rows])
            return [
                Seen(float(one.output == row["output"]), one.confidence, profile.novelty(row["input"]))
                for one, row in zip(predictions, rows, strict=True)
            ]

        usual = seen(held)
        return cls(usual, seen(_worst(held, usual)), seen(_reworded(held, rng)), seen(_foreign(held)))


def _worst(rows: list[dict[str, Any]], seen: list[Seen]) -> list[dict[str, Any]]:
    """Of the traffic, half are now requests of the fifth of the classes that the student knows least."""
    scores: dict[str, list[float]] = {}
    for row, one in zip(rows, seen, strict=True):
        scores.setdefault(json.dumps(row["output"]), []).append(one.score)
    order = sorted(scores, key=lambda name: statistics.fmean(scores[name]))
    worst = set(order[: max(1, len(order) // 5)])
    hard = [row for row in rows if json.dumps(row["output"]) in worst]
    return [row if at % 2 else hard[at % len(hard)] for at, row in enumerate(rows)]


def _reworded(rows: list[dict[str, Any]], rng: random.Random) -> list[dict[str, Any]]:
    """A quarter of the words are others that nobody ever used: each word always by the same one."""

    def word(text: str) -> str:
        return text[::-1] + "o" if rng.random() < REWORDED else text

    def reworded(value: Any) -> Any:
        return " ".join(map(word, value.split())) if isinstance(value, str) else value

    return [{**row, "input": {name: reworded(value) for name, value in row["input"].items()}} for row in rows]


def _foreign(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One request in ten is of another field altogether: none of its words is known."""

    def foreign(value: Any) -> Any:
        return " ".join(word[::-1] + "um" for word in value.split()) if isinstance(value, str) else value

    return [
        {**row, "input": {name: foreign(value) for name, value in row["input"].items()}} if at % 10 == 0 else row
        for at, row in enumerate(rows)
    ]


def inputs_table(student: TaughtStudent, runs: int, seed: int) -> Table:
    """Requests until `InputWatch` says that the inputs changed, none of them compared; what it says first."""
    shown = Table(title="Inputs alone, at the stated rate of one false alarm per 10,000 requests")
    for column in ("change", "agreement", "alarm after, requests", "missed", "before the change", "first named"):
        shown.add_column(column)
    for name in ("usual", "mix", "vocabulary", "foreign"):
        after: list[Seen] = getattr(student, name)
        rng = random.Random(f"{seed} {name}")
        found = [_alarm(rng.choices(student.usual, k=BEFORE) + rng.choices(after, k=AFTER)) for _ in range(runs)]
        late = [place - BEFORE for place, _ in found if BEFORE <= place < BEFORE + AFTER]
        named = [kind for place, kind in found if BEFORE <= place < BEFORE + AFTER]
        means = [statistics.fmean(one.score for one in part) for part in (student.usual, after)]
        shown.add_row(
            {"usual": "none", "mix": "class mix", "vocabulary": "words", "foreign": "1 in 10 foreign"}[name],
            f"{means[0]:.2f} -> {means[1]:.2f}",
            f"{statistics.fmean(late):.0f}" if late else "-",
            str(sum(place >= BEFORE + AFTER for place, _ in found)),
            str(sum(place < BEFORE for place, _ in found)),
            ", ".join(f"{kind} {named.count(kind)}" for kind in dict.fromkeys(named)),
        )
    return shown


def _alarm(seen: list[Seen]) -> tuple[int, str]:
    watch = InputWatch()
    for place, one in enumerate(seen):
        if change := watch.see(one.novelty, one.confidence):
            return place, change.of.value
    return len(seen), ""
