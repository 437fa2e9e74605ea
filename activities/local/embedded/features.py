"""Inputs as numbers: any JSON object becomes a sparse row.

Free text becomes word and character TF-IDF, path by path; short repeated values and list items become `path=value`
indicators; numbers are scaled. What is what is decided from the training data.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from activities.local.embedded.learners import Entries, Matrix, OneRow, Vectorizer, fit_tfidf, matrix_of, side_by_side

MAX_CHARACTERS = 20_000
"""Of a text, the part that is read: it bounds the time to answer; what a request is about is said early."""
LONG_TEXT = 600
"""Mean length from which words alone are used: character n-grams would be thousands a row, and add nothing there."""
MAX_TEXT_PATHS = 4
POOLED = "*"
FEW = 50
"""A path with at most this many distinct values, each seen 4 times on average, is categorical."""
PRUNE_FROM = 1000
"""Rows from which terms that occur only once are dropped (below, they still help)."""
NUMBER_SCALE = 0.3


def scalars(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """(path, scalar) of everything inside a JSON value; a list item's path ends in `[]`."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from scalars(inner, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from scalars(inner, f"{path}[]")
    else:
        yield path, value


def texts(data: Mapping[str, Any]) -> dict[str, str]:
    """Path -> text of all strings (items of one list joined by newlines), each cut to `MAX_CHARACTERS`."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for path, value in scalars(data):
        if isinstance(value, str):
            found[path].append(value)
    return {path: "\n".join(parts)[:MAX_CHARACTERS] for path, parts in found.items()}


@dataclass(frozen=True)
class Features:
    """The columns: first the indicators and numbers, then a block for each vectorizer."""

    text_paths: tuple[str, ...]
    categorical_paths: frozenset[str]
    indicators: dict[str, int]
    numbers: dict[str, tuple[int, float, float]]
    vectorizers: tuple[tuple[str, Vectorizer], ...]
    width: int

    @classmethod
    def fit(cls, inputs: list[dict[str, Any]]) -> tuple["Features", Matrix]:
        """Decide the columns from `inputs` and return them with the matrix of shape (len(inputs), width)."""
        survey = _survey(inputs)
        text_paths, _, indicators, numbers = survey
        simple = cls(*survey, (), len(indicators) + len(numbers))
        documents = [simple._documents(data) for data in inputs]
        blocks = [matrix_of((simple._simple(data) for data in inputs), simple.width)]
        vectorizers: list[tuple[str, Vectorizer]] = []
        for path in (*text_paths, POOLED):
            column = [document.get(path, "") for document in documents]
            for vectorizer, block in _vectorize(column):
                vectorizers.append((path, vectorizer))
                blocks.append(block)
        matrix = side_by_side(blocks, len(inputs))
        return cls(*survey, tuple(vectorizers), matrix.shape[1]), matrix

    def matrix(self, inputs: list[dict[str, Any]]) -> Matrix:
        """Shape (len(inputs), width). Paths and values not seen in training are left out."""
        if len(inputs) == 1:
            return OneRow(*self._row(inputs[0]), self.width)
        return matrix_of((self._row(data) for data in inputs), self.width)

    def _row(self, data: dict[str, Any]) -> Entries:
        blocks = [self._simple(data)]
        documents = self._documents(data)
        offset = len(self.indicators) + len(self.numbers)
        for path, vectorizer in self.vectorizers:
            if document := documents.get(path):
                columns, values = vectorizer.entries(document)
                blocks.append((columns + np.int32(offset), values))
            offset += len(vectorizer.vocabulary)
        return np.concatenate([columns for columns, _ in blocks]), np.concatenate([values for _, values in blocks])

    def _simple(self, data: dict[str, Any]) -> Entries:
        found: dict[int, float] = {}
        for path, value in scalars(data):
            if path in self.numbers and (number := figure(value)) is not None:
                column, mean, deviation = self.numbers[path]
                found[column] = NUMBER_SCALE * min(max((number - mean) / deviation, -3.0), 3.0)
            if (indicator := self.indicators.get(f"{path}={value}")) is not None:
                found[indicator] = 1.0
        return np.fromiter(found, np.int32, len(found)), np.fromiter(found.values(), np.float32, len(found))

    def _documents(self, data: dict[str, Any]) -> dict[str, str]:
        own: dict[str, str] = {}
        pooled: list[str] = []
        for path, text in texts(data).items():
            if path in self.text_paths:
                own[path] = text
            elif path not in self.categorical_paths:
                pooled.append(text)
        return own | ({POOLED: "\n".join(pooled)[:MAX_CHARACTERS]} if pooled else {})


def figure(value: Any) -> float | None:
    """A finite number as a float in [-1e15, 1e15]; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        return None
    return float(min(max(value, -1e15), 1e15))


type Survey = tuple[tuple[str, ...], frozenset[str], dict[str, int], dict[str, tuple[int, float, float]]]


def _survey(inputs: list[dict[str, Any]]) -> Survey:
    values: defaultdict[str, Counter[Any]] = defaultdict(Counter)
    figures: defaultdict[str, list[float]] = defaultdict(list)
    length: Counter[str] = Counter()
    for data in inputs:
        for path, value in scalars(data):
            values[path][value[:100] if isinstance(value, str) else value] += 1
            if (number := figure(value)) is not None:
                figures[path].append(number)
            elif isinstance(value, str):
                length[path] += len(value)
    few = frozenset(path for path, seen in values.items() if len(seen) <= FEW and 4 * len(seen) <= seen.total())
    names = [f"{path}={value}" for path in sorted(few) for value in sorted(values[path], key=str)]
    indicators = {name: column for column, name in enumerate(dict.fromkeys(names))}
    numbers = {
        path: (len(indicators) + at, float(np.mean(figures[path])), float(np.std(figures[path])) or 1.0)
        for at, path in enumerate(sorted(figures))
    }
    text_paths = [path for path, _ in length.most_common() if path not in few][:MAX_TEXT_PATHS]
    return tuple(text_paths), few, indicators, numbers


def _vectorize(column: list[str]) -> list[tuple[Vectorizer, Matrix]]:
    filled = [len(text) for text in column if text]
    if not filled:
        return []
    min_count = 2 if len(filled) >= PRUNE_FROM else 1
    blocks = [fit_tfidf(column, "word", (1, 2), min_count)]
    if float(np.mean(filled)) <= LONG_TEXT:
        blocks.append(fit_tfidf(column, "char_wb", (2, 5), min_count))
    return [block for block in blocks if block]
