"""One model for each kind of output field: constant, categorical, number, list of items.

A head predicts values for its rows together with evidence, shape (rows, EVIDENCE): how far its best answer is ahead.
Evidence has no unit; `calibration` turns it into probabilities.
"""

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from activities.local.embedded.fields import Leaf
from activities.local.embedded.learners import Floats, Ints, Linear, Matrix, fit_ridge, fit_svm
from activities.local.embedded.recipes import PENALTY, Recipe, choose_recipe

EVIDENCE = 4
SHARPNESS = 4.0
"""Of the soft maximum over scores whose entropy says between how many classes the answer wavers."""
MAX_CLASSES = 300
"""Categorical fields predict the most frequent values, so that training time stays bounded."""


class Head(Protocol):
    """A fitted model of one field."""

    def predict(self, matrix: Matrix) -> tuple[list[Any], Floats]: ...


def key_of(value: Any) -> str:
    """Values are the same class if and only if their keys are equal (1, 1.0 and true differ)."""
    return json.dumps(value, sort_keys=True)


@dataclass(frozen=True)
class Constant:
    """Always the most frequent value."""

    value: Any

    @classmethod
    def fit(cls, matrix: Matrix, leaf: Leaf, values: list[Any], seed: int) -> "Constant":
        keys = Counter(key_of(value) for value in values)
        return cls(json.loads(keys.most_common(1)[0][0]) if keys else leaf.default)

    def predict(self, matrix: Matrix) -> tuple[list[Any], Floats]:
        return [self.value] * matrix.shape[0], np.zeros((matrix.shape[0], EVIDENCE))


@dataclass(frozen=True)
class Categorical:
    """One of the values seen in training."""

    classes: tuple[Any, ...]
    linear: Linear

    @classmethod
    def trial(cls, matrix: Matrix, values: list[Any], seed: int) -> tuple[Recipe, float]:
        """How these values are best learned, and the area under the risk-coverage curve that it reached."""
        ranked, kept, labels = _coded(values)
        return choose_recipe(matrix[kept], labels, len(ranked), seed)

    @classmethod
    def fit(
        cls, matrix: Matrix, leaf: Leaf, values: list[Any], seed: int, recipe: Recipe | None = None
    ) -> "Categorical":
        ranked, kept, labels = _coded(values)
        linear = (recipe or Recipe()).fit(matrix[kept], labels, len(ranked), seed)
        return cls(tuple(json.loads(key) for key in ranked), linear)

    def predict(self, matrix: Matrix) -> tuple[list[Any], Floats]:
        scores = self.linear.scores(matrix)
        best = scores.argmax(axis=1)
        if scores.shape[1] == 1:
            return [self.classes[0]] * len(best), np.zeros((len(best), EVIDENCE))
        return [self.classes[code] for code in best], _evidence(scores)


def _coded(values: list[Any]) -> tuple[list[str], Ints, Ints]:
    """Keys of the classes, the most frequent first; rows that have one of them; their codes."""
    keys = [key_of(value) for value in values]
    ranked = [key for key, _ in Counter(keys).most_common(MAX_CLASSES)]
    codes = {key: code for code, key in enumerate(ranked)}
    kept = np.array([row for row, key in enumerate(keys) if key in codes], dtype=np.intp)
    return ranked, kept, np.array([codes[keys[row]] for row in kept], dtype=np.intp)


def _evidence(scores: Floats) -> Floats:
    """Best score, its lead over the second, its soft maximum (as a logarithm), the entropy of the soft maxima."""
    top = np.partition(scores, -2, axis=1)[:, -2:]
    odds = SHARPNESS * (scores - top[:, 1:])
    soft = np.exp(odds)
    total = soft.sum(axis=1)
    surest = -np.log(total)
    return np.column_stack([top[:, 1], top[:, 1] - top[:, 0], surest, -surest - (soft * odds).sum(axis=1) / total])


@dataclass(frozen=True)
class Number:
    """A number with many distinct values: ridge regression, kept within the range seen in training."""

    integer: bool
    low: float
    high: float
    linear: Linear
    presence: Categorical | None

    @classmethod
    def fit(cls, matrix: Matrix, leaf: Leaf, values: list[Any], seed: int) -> "Number":
        present = np.array([row for row, value in enumerate(values) if value is not None], dtype=np.intp)
        targets = np.array([values[row] for row in present], dtype=np.float64)
        presence = None
        if len(present) < len(values):
            presence = Categorical.fit(matrix, leaf, [value is not None for value in values], seed)
        linear = fit_ridge(matrix[present], targets, seed)
        return cls(leaf.kind == "int", float(targets.min()), float(targets.max()), linear, presence)

    def predict(self, matrix: Matrix) -> tuple[list[Any], Floats]:
        raw = self.linear.scores(matrix)[:, 0].clip(self.low, self.high)
        values: list[Any] = [round(number) if self.integer else float(number) for number in raw]
        evidence = np.zeros((len(raw), EVIDENCE))
        evidence[:, 0] = np.abs(raw - np.round(raw)) if self.integer else 0.0
        if self.presence:
            there, presence = self.presence.predict(matrix)
            values = [value if given else None for value, given in zip(values, there, strict=True)]
            evidence[:, 1] = presence[:, 1]
        return values, evidence


@dataclass(frozen=True)
class ItemList:
    """A list of few distinct items: one yes-or-no classifier an item, in their mean order of training."""

    items: tuple[Any, ...]
    linears: tuple[Linear, ...]

    @classmethod
    def fit(cls, matrix: Matrix, leaf: Leaf, values: list[Any], seed: int) -> "ItemList":
        places: dict[str, list[int]] = {}
        holders: dict[str, set[int]] = {}
        for row, items in enumerate(values):
            for place, item in enumerate(items or []):
                places.setdefault(key_of(item), []).append(place)
                holders.setdefault(key_of(item), set()).add(row)
        common = sorted(places, key=lambda key: -len(places[key]))[:MAX_CLASSES]
        ordered = sorted(common, key=lambda key: (float(np.mean(places[key])), key))
        linears = []
        for key in ordered:
            codes: Ints = np.zeros(len(values), dtype=np.intp)
            codes[list(holders[key])] = 1
            linears.append(fit_svm(matrix, codes, 2, penalty=PENALTY, seed=seed))
        return cls(tuple(json.loads(key) for key in ordered), tuple(linears))

    def predict(self, matrix: Matrix) -> tuple[list[Any], Floats]:
        margins = np.column_stack([np.diff(linear.scores(matrix), axis=1)[:, 0] for linear in self.linears])
        values = [[item for item, margin in zip(self.items, row, strict=True) if margin > 0] for row in margins]
        sizes = np.sort(np.abs(margins), axis=1)
        evidence = np.zeros((len(sizes), EVIDENCE))
        evidence[:, 0], evidence[:, 1] = sizes[:, 0], sizes[:, : min(3, sizes.shape[1])].mean(axis=1)
        return values, evidence


type HeadClass = type[Constant] | type[Categorical] | type[Number] | type[ItemList]


def choose(leaf: Leaf, values: list[Any]) -> HeadClass:
    """The kind of model that suits what the teacher answered in this field."""
    distinct = len({key_of(value) for value in values})
    if distinct <= 1:
        return Constant
    if leaf.kind in ("enum", "bool") or _few(distinct, len(values)):
        return Categorical
    if leaf.kind in ("int", "float"):
        return Number
    if leaf.kind == "list":
        items = Counter(key_of(item) for value in values for item in value or [])
        if items and len(items) <= MAX_CLASSES and items.total() >= 2 * len(items):
            return ItemList
    return Constant if distinct > 0.9 * len(values) and len(values) >= 20 else Categorical


def _few(distinct: int, rows: int) -> bool:
    return distinct <= 10 or distinct <= min(MAX_CLASSES, rows // 10)
