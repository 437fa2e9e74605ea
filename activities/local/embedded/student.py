"""The student: learns a task's answers from examples, answers with a calibrated confidence, lives in a folder."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np

from activities.local.embedded.calibration import Calibrator
from activities.local.embedded.ensemble import Encoder, Ensemble, Plan, Rows
from activities.local.embedded.fields import UNKNOWN, assemble, leaves
from activities.local.embedded.heads import key_of
from activities.local.embedded.learners import LIBRARY_VERSION, Floats, Ints, dump, load

FORMAT = 2
MODEL_FILE = "model.joblib"
MANIFEST_FILE = "manifest.json"
FOLDS = 10
"""Of the out-of-fold predictions behind the confidence, which also begin the proofs of a version's quality: a model
that misses a third of the examples is notably worse than the final one, so that they would prove less than is true."""
ENOUGH = 1500
"""Predictions that a confidence is fitted on. With more rows only so many folds are answered as make these, so that the
cost of calibrating grows no more; from 10,000 rows it is that of one or two trainings."""

type Scores = Callable[[dict[str, Any], dict[str, Any]], float]


class UnreadableModel(ValueError):
    """A model folder that is missing, damaged, or of another format or library version."""


@dataclass(frozen=True)
class Prediction:
    """An output that fits the schema; `confidence` in (0, 1) that the whole of it agrees with the teacher."""

    output: dict[str, Any]
    confidence: float


@dataclass(frozen=True)
class Student:
    """A fitted student. Immutable, so any number of threads may ask it at once."""

    encoder: Encoder
    ensemble: Ensemble
    calibrator: Calibrator
    examples: int
    rehearsal: tuple[tuple[int, float, float], ...] = ()
    """Of answers to its own examples by students that had not seen them: row, score and confidence."""

    @classmethod
    def fit(
        cls,
        inputs: list[dict[str, Any]],
        outputs: list[dict[str, Any]],
        output_schema: dict[str, Any],
        seed: int = 0,
        scores: Scores | None = None,
        sentences: str | None = None,
    ) -> "Student":
        """Learn `outputs[i]` from `inputs[i]`. The same data and seed give the same student.

        `scores(student, teacher)` says how well two whole outputs agree, in [0, 1]; by default every field must be
        equal. The confidence is that they agree fully. `sentences` is the name or folder of a sentence model of this
        machine, whose vectors are used if they help on the training part. Raises ValueError without examples, or for a
        type that the schema language lacks; NoSentenceModel.
        """
        if not inputs or len(inputs) != len(outputs):
            raise ValueError(
                f"training needs at least one example and an output for each: {len(inputs)}, {len(outputs)}"
            )
        fields = leaves(output_schema)
        columns = [[leaf.value_in(output) for output in outputs] for leaf in fields]
        plan = Plan.make(fields, columns, inputs)
        encoder, rows = Encoder.fit(inputs, plan.tagged_paths, sentences)
        if dimensions := encoder.features.dimensions:
            encoder, rows = encoder.narrowed(rows, *plan.describes_best(rows, columns, dimensions, seed))
        ensemble = Ensemble.fit(plan.tried(rows, columns, seed), rows, columns, seed)
        calibrator, rehearsal = _calibrate(ensemble, rows, columns, outputs, seed, scores)
        return cls(encoder, ensemble, calibrator, len(inputs), rehearsal)

    def predict(self, data: dict[str, Any]) -> Prediction:
        """Answer one input; about 1 ms for a short text."""
        return self.predict_many([data])[0]

    def predict_many(self, inputs: list[dict[str, Any]]) -> list[Prediction]:
        """Answer inputs in order."""
        if not inputs:
            return []
        values, evidence = self.ensemble.predict(self.encoder.encode(inputs))
        confidences = self.calibrator.confidence(evidence)
        fields = list(self.ensemble.plan.leaves)
        return [Prediction(assemble(fields, row), float(p)) for row, p in zip(values, confidences, strict=True)]

    def save(self, path: Path) -> None:
        """Write the model and its manifest into the folder `path`, the manifest last: it marks the folder complete."""
        path.mkdir(parents=True, exist_ok=True)
        dump(self, path / MODEL_FILE)
        manifest = {
            "format": FORMAT,
            "scikit_learn": LIBRARY_VERSION,
            "examples": self.examples,
            "sentences": self.encoder.features.sentences,
            "fields": [".".join(leaf.path) for leaf in self.ensemble.plan.leaves],
            "sha256": _digest(path / MODEL_FILE),
        }
        (path / MANIFEST_FILE).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> "Student":
        """Read a folder that `save` wrote. Raises UnreadableModel; nothing is unpickled before its digest is checked.

        The digest protects against damage, not against someone who can write to the folder.
        """
        try:
            manifest = json.loads((path / MANIFEST_FILE).read_text(encoding="utf-8"))
            found = {"format": manifest["format"], "scikit-learn": _release(manifest["scikit_learn"])}
            digest = manifest["sha256"]
            actual = _digest(path / MODEL_FILE)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise UnreadableModel(
                f"no readable model in {path} ({type(error).__name__}); train the version again"
            ) from error
        expected = {"format": FORMAT, "scikit-learn": _release(LIBRARY_VERSION)}
        for name, value in expected.items():
            if found[name] != value:
                raise UnreadableModel(
                    f"model in {path} was made with {name} {found[name]}, this is {value}; train the version again"
                )
        if digest != actual:
            raise UnreadableModel(
                f"model in {path} is damaged: its digest is not the manifest's; train the version again"
            )
        student = load(path / MODEL_FILE)
        if not isinstance(student, cls):
            raise UnreadableModel(f"{path / MODEL_FILE} holds no student; train the version again")
        return student


def _calibrate(
    ensemble: Ensemble,
    rows: Rows,
    columns: list[list[Any]],
    outputs: list[dict[str, Any]],
    seed: int,
    scores: Scores | None,
) -> tuple[Calibrator, tuple[tuple[int, float, float], ...]]:
    answered, values, evidence = _out_of_fold(ensemble, rows, columns, seed)
    correct = np.array(
        [
            [all(_same(value[at], columns[at][row]) for at in group) for group in ensemble.groups]
            for row, value in zip(answered, values, strict=True)
        ],
        dtype=bool,
    ).reshape(len(answered), -1)
    if correct.shape[1] == 0:
        correct = np.ones((len(answered), 1), dtype=bool)
    scored = correct.all(axis=1).astype(np.float64)
    if scores:
        fields = list(ensemble.plan.leaves)
        scored = np.array(
            [scores(assemble(fields, value), outputs[row]) for row, value in zip(answered, values, strict=True)]
        )
    agreed = scored >= 1.0 - 1e-9
    if len(outputs) == 1:
        correct, agreed, proof = (np.vstack([part, part]) for part in (correct, agreed, evidence))
        return Calibrator.fit(proof, correct, agreed.reshape(-1)), ()
    calibrator = Calibrator.fit(evidence, correct, agreed)
    sure = calibrator.confidence(evidence)
    return calibrator, tuple(zip(answered.tolist(), scored.tolist(), sure.tolist(), strict=True))


def _out_of_fold(
    ensemble: Ensemble, rows: Rows, columns: list[list[Any]], seed: int
) -> tuple[Ints, list[list[Any]], Floats]:
    """Rows, and predictions for each by an ensemble that was fitted without it (but a single row predicts itself)."""
    count = rows.matrix.shape[0]
    folds = min(count, max(FOLDS, count // ENOUGH))
    order = np.random.default_rng(seed).permutation(count)
    answered: list[Ints] = []
    values: list[list[Any]] = []
    evidence: list[Floats] = []
    for fold in range(min(folds, ceil(ENOUGH * folds / count))):
        held, kept = order[fold::folds], np.sort(np.delete(order, np.s_[fold::folds]))
        one = ensemble
        if len(kept):
            parts = [[column[row] for row in kept] for column in columns]
            one = Ensemble.fit(ensemble.plan, rows.take(kept), parts, seed)
        found, proof = one.predict(rows.take(held))
        answered.append(held)
        values += found
        evidence.append(proof)
    return np.concatenate(answered), values, np.concatenate(evidence)


def _same(value: Any, teacher: Any) -> bool:
    return teacher is not UNKNOWN and key_of(value) == key_of(teacher)


def _release(version: str) -> str:
    """Major and minor version: patch releases read each other's models."""
    return ".".join(version.split(".")[:2])


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
