"""Inputs as numbers: any JSON object becomes a sparse row.

Free text becomes word and character TF-IDF, path by path; short repeated values and list items become `path=value`
indicators; numbers are scaled. What is what is decided from the training data.
"""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from activities.local.embedded.learners import (
    Entries,
    Floats,
    Ints,
    Matrix,
    OneRow,
    Vectorizer,
    fit_tfidf,
    matrix_of,
    side_by_side,
)
from activities.local.embedded.sentences import Vectors, sentence_model
from apprentice.scalars import scalars

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
BINS, BIN_SCALE, BINS_FROM = 10, 0.3, 50
"""A number is also one of ten bins, so that a middle range can be told from both ends; not with fewer values."""

type Scale = tuple[int, float, float, tuple[float, ...]]
"""Of a number: its first column, mean, standard deviation, and the borders of the bins in the columns behind it."""


def facts(data: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """`scalars`, and the length of each list, at the path of the list with a `#` behind it."""
    yield from scalars(data)
    yield from _lengths(data, "")


def _lengths(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _lengths(inner, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list | tuple):
        yield f"{path}#", len(value)


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
    numbers: dict[str, Scale]
    vectorizers: tuple[tuple[str, Vectorizer], ...]
    width: int
    sentences: str | None = None
    dimensions: int = 0

    @classmethod
    def fit(cls, inputs: list[dict[str, Any]], sentences: str | None = None) -> tuple["Features", Matrix]:
        """Decide the columns from `inputs` and return them with the matrix of shape (len(inputs), width).

        `sentences` names a sentence model, whose vectors are the last columns. Raises NoSentenceModel.
        """
        survey = _survey(inputs)
        text_paths, _, indicators, numbers = survey
        simple = cls(*survey, (), len(indicators) + _columns(numbers))
        documents = [simple._documents(data) for data in inputs]
        blocks = [matrix_of((simple._simple(data) for data in inputs), simple.width)]
        vectorizers: list[tuple[str, Vectorizer]] = []
        for path in (*text_paths, POOLED):
            column = [document.get(path, "") for document in documents]
            for vectorizer, block in _vectorize(column):
                vectorizers.append((path, vectorizer))
                blocks.append(block)
        dimensions = 0
        if sentences and (text_paths or vectorizers):
            blocks.append(_vectors(sentences, inputs))
            dimensions = blocks[-1].shape[1]
        matrix = side_by_side(blocks, len(inputs))
        return cls(*survey, tuple(vectorizers), matrix.shape[1], sentences if dimensions else None, dimensions), matrix

    def kept(self, words: bool, sentences: bool) -> tuple["Features", slice | Ints]:
        """Without the terms, or without the sentence vectors; and which columns are left."""
        simple, end = len(self.indicators) + _columns(self.numbers), self.width - self.dimensions
        if words and not sentences:
            return replace(self, width=end, sentences=None, dimensions=0), slice(0, end)
        if sentences and not words:
            columns: Ints = np.r_[:simple, end : self.width]
            return replace(self, width=len(columns), vectorizers=()), columns
        return self, slice(0, self.width)

    def matrix(self, inputs: list[dict[str, Any]]) -> Matrix:
        """Shape (len(inputs), width). Paths and values not seen in training are left out."""
        if len(inputs) == 1:
            return OneRow(*self._row(inputs[0]), self.width)
        if self.sentences:
            words = matrix_of((self._words(data) for data in inputs), self.width - self.dimensions)
            return side_by_side([words, _vectors(self.sentences, inputs)], len(inputs))
        return matrix_of((self._row(data) for data in inputs), self.width)

    def _row(self, data: dict[str, Any]) -> Entries:
        columns, values = self._words(data)
        if not self.sentences:
            return columns, values
        vector = _vectors(self.sentences, [data])[0]
        places = np.arange(self.width - self.dimensions, self.width, dtype=np.int32)
        return np.concatenate([columns, places]), np.concatenate([values, vector])

    def _words(self, data: dict[str, Any]) -> Entries:
        blocks = [self._simple(data)]
        documents = self._documents(data)
        offset = len(self.indicators) + _columns(self.numbers)
        for path, vectorizer in self.vectorizers:
            if document := documents.get(path):
                columns, values = vectorizer.entries(document)
                blocks.append((columns + np.int32(offset), values))
            offset += len(vectorizer.vocabulary)
        return np.concatenate([columns for columns, _ in blocks]), np.concatenate([values for _, values in blocks])

    def _simple(self, data: dict[str, Any]) -> Entries:
        found: dict[int, float] = {}
        for path, value in facts(data):
            if path in self.numbers and (number := figure(value)) is not None:
                column, mean, deviation, borders = self.numbers[path]
                found[column] = NUMBER_SCALE * min(max((number - mean) / deviation, -3.0), 3.0)
                if borders:
                    found[column + 1 + bisect_right(borders, number)] = BIN_SCALE
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


def _vectors(sentences: str, inputs: list[dict[str, Any]]) -> Vectors:
    """Shape (len(inputs), dimensions)."""
    return sentence_model(sentences).encode(["\n".join(texts(data).values()) for data in inputs])


def figure(value: Any) -> float | None:
    """A finite number as a float in [-1e15, 1e15]; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        return None
    return float(min(max(value, -1e15), 1e15))


def _borders(seen: Floats) -> tuple[float, ...]:
    """Where the bins of a number part, each with as many of the values as the next: a linear model can bend there."""
    if len(seen) < BINS_FROM:
        return ()
    return tuple(float(border) for border in np.unique(np.quantile(seen, np.arange(1, BINS) / BINS)))


def _columns(numbers: dict[str, Scale]) -> int:
    return sum(1 + (len(borders) + 1 if borders else 0) for _, _, _, borders in numbers.values())


type Survey = tuple[tuple[str, ...], frozenset[str], dict[str, int], dict[str, Scale]]


def _survey(inputs: list[dict[str, Any]]) -> Survey:
    values: defaultdict[str, Counter[Any]] = defaultdict(Counter)
    figures: defaultdict[str, list[float]] = defaultdict(list)
    length: Counter[str] = Counter()
    for data in inputs:
        for path, value in facts(data):
            values[path][value[:100] if isinstance(value, str) else value] += 1
            if (number := figure(value)) is not None:
                figures[path].append(number)
            elif isinstance(value, str):
                length[path] += len(value)
    few = frozenset(path for path, seen in values.items() if len(seen) <= FEW and 4 * len(seen) <= seen.total())
    names = [f"{path}={value}" for path in sorted(few) for value in sorted(values[path], key=str)]
    indicators = {name: column for column, name in enumerate(dict.fromkeys(names))}
    numbers: dict[str, Scale] = {}
    for path in sorted(figures):
        seen = np.array(figures[path])
        place = len(indicators) + _columns(numbers)
        numbers[path] = place, float(seen.mean()), float(seen.std()) or 1.0, () if path in few else _borders(seen)
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
