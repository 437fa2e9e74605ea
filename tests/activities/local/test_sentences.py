"""Sentence vectors: used where they help, never fetched, and an error that says what to do where they are missing."""

import random
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
import pytest

from activities.local.embedded.adapter import Embedded
from activities.local.embedded.sentences import NoSentenceModel, sentence_model
from activities.local.embedded.student import Student
from activities.local.model import ServerDown
from apprentice.settings import TaskSettings

RANDOM = random.Random(0)
MEANINGS = [["".join(RANDOM.choices("abcdefghijklmnop", k=7)) for _ in range(60)] for _ in range(3)]
"""Words of three meanings: too many to be all seen in training."""


class Transformer:
    """Stands for the library: knows the meanings of words. `asked` are the arguments it was made with."""

    asked: ClassVar[list[dict[str, Any]]] = []
    encoded = 0

    def __init__(self, name: str, **options: Any) -> None:
        if name == "absent":
            raise OSError("couldn't connect to 'https://huggingface.co' to load the files")
        self.asked.append(options)

    def encode(self, texts: list[str], **options: Any) -> Any:
        type(self).encoded += len(texts)
        return np.array([[sum(w in text for w in words) + 1e-3 for words in MEANINGS] for text in texts])


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> type[Transformer]:
    module = ModuleType("sentence_transformers")
    module.SentenceTransformer = Transformer  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sentence_transformers", module)
    sentence_model.cache_clear()
    Transformer.asked.clear()
    Transformer.encoded = 0
    return Transformer


def rows(count: int, seed: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Texts whose class is told by one word."""
    rng = random.Random(seed)
    filler = ["".join(rng.choices("abcdefghijklmnop", k=6)) for _ in range(60)]
    inputs, outputs = [], []
    for _ in range(count):
        kind = rng.randrange(3)
        told = [*rng.choices(filler, k=4), rng.choice(MEANINGS[kind])]
        rng.shuffle(told)
        inputs.append({"text": " ".join(told)})
        outputs.append({"kind": str(kind)})
    return inputs, outputs


def agreement(student: Student, inputs: list[dict[str, Any]], outputs: list[dict[str, Any]]) -> float:
    answers = student.predict_many(inputs)
    return sum(answer.output == output for answer, output in zip(answers, outputs, strict=True)) / len(outputs)


def test_sentence_vectors_are_used_where_they_help(library: type[Transformer], tmp_path: Path) -> None:
    learned, unseen = rows(120, 1), rows(200, 2)
    plain, student = (Student.fit(*learned, {"kind": "str"}, sentences=name) for name in (None, "tiny"))
    assert student.encoder.features.sentences == "tiny"
    assert agreement(student, *unseen) > 0.95 > agreement(plain, *unseen)
    student.save(tmp_path / "v1")
    again = Student.load(tmp_path / "v1")
    one = again.predict(unseen[0][0])
    assert one.output == student.predict_many(unseen[0][:2])[0].output
    assert library.asked == [{"device": "cpu", "local_files_only": True}]


def test_they_are_left_out_where_they_do_not(library: type[Transformer]) -> None:
    inputs = [{"text": f"{'red' if n % 2 else 'green'} {n % 7}"} for n in range(200)]
    student = Student.fit(inputs, [{"kind": input["text"][:3]} for input in inputs], {"kind": "str"}, sentences="tiny")
    assert student.encoder.features.sentences is None
    seen = library.encoded
    assert student.predict({"text": "green 3"}).output == {"kind": "gre"}
    assert library.encoded == seen


def test_a_text_is_encoded_once(library: type[Transformer]) -> None:
    model = sentence_model("tiny")
    first = model.encode(["a lost card", "slow", "a lost card"])
    assert np.array_equal(model.encode(["slow", "a lost card"]), first[[1, 0]])
    assert library.encoded == 2


async def test_a_model_that_is_not_here_is_an_error_that_says_what_to_do(library: type[Transformer]) -> None:
    with pytest.raises(
        NoSentenceModel, match=r"'absent' \(local.base_model\) is not on this machine.*download it first"
    ):
        Student.fit([{"text": "a b"}], [{"kind": "x"}], {"kind": "str"}, sentences="absent")
    with pytest.raises(ServerDown, match="not on this machine"):
        await Embedded(settings("absent")).check()
    assert "the sentence model tiny is here" in await Embedded(settings("tiny")).check()


def test_without_the_extra_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    sentence_model.cache_clear()
    with pytest.raises(NoSentenceModel, match="extra `semantic`"):
        sentence_model("tiny")


def settings(base_model: str) -> TaskSettings:
    return TaskSettings.model_validate(
        {
            "name": "tickets",
            "input_schema": {"text": "str"},
            "output_schema": {"kind": "str"},
            "remote": {"provider": "simulated", "model": "m", "price": {}},
            "local": {"base_model": base_model},
        }
    )
