"""Which examples a language model is shown before every input: few, telling, and small.

They have to cover the outputs, or the model never sees a rare class, and the inputs, or it sees the same thing eight
times. Outputs: the next one is of those whose field values were shown least, a frequent value counting more by the
logarithm of its frequency. Among these, inputs: typical of their kind, unlike what is shown already (maximal marginal
relevance, Carbonell and Goldstein 1998, with equal weights) by the cosine of their TF-IDF words.

Pure, and the same for the same rows, whatever is installed: so two workers make the same version.
"""

import json
import math
import random
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from apprentice.datasets import normalise
from apprentice.evaluators.structured_match import value_at

MOST_VALUES = 40
"""A field with more different values is text or a number: its values are no classes to be covered."""
MOST_KINDS = 64
POOL = 24
"""Rows kept for each kind of output, drawn at random from all of it: a choice among these is good enough, and the whole
never has to be in memory."""
_WORD = re.compile(r"\w+")

type Json = dict[str, Any]
type Value = tuple[str, str]
"""A field and its value, as JSON."""


@dataclass(frozen=True)
class Candidate:
    """A row that may be shown. `size` is its length in bytes, as JSON."""

    input: Json
    output: Json
    values: tuple[Value, ...]
    size: int


@dataclass
class Pool:
    """A bounded, fair sample of the rows of each kind; `counts` is of all rows."""

    kinds: dict[tuple[Value, ...], list[Candidate]] = field(default_factory=dict)
    seen: Counter[tuple[Value, ...]] = field(default_factory=Counter)
    counts: Counter[Value] = field(default_factory=Counter)

    def candidates(self) -> list[Candidate]:
        """All that were kept, kind by kind."""
        return [one for kept in self.kinds.values() for one in kept]


def class_fields(outputs: Iterable[Json], fields: Sequence[str]) -> list[str]:
    """Those of the (dotted) fields that hold classes: not more than `MOST_VALUES` different values."""
    values: dict[str, set[str]] = {name: set() for name in fields}
    for output in outputs:
        for name in list(values):
            values[name].add(normalise(value_at(output, name)))
            if len(values[name]) > MOST_VALUES:
                del values[name]
    return list(values)


def sample(rows: Iterable[tuple[Json, Json]], fields: Sequence[str], rng: random.Random, longest: int) -> Pool:
    """Of each kind of output (the values of its class fields) some rows, none longer than `longest` bytes.

    Reservoir sampling (Vitter's algorithm R): each row of a kind has the same chance, in one pass.
    """
    pool = Pool()
    for input, output in rows:
        values = tuple((name, normalise(value_at(output, name))) for name in fields)
        pool.counts.update(values)
        size = len(json.dumps([input, output], ensure_ascii=False).encode(errors="replace"))
        if size > longest:
            continue
        kind = values if values in pool.kinds or len(pool.kinds) < MOST_KINDS else ()
        kept = pool.kinds.setdefault(kind, [])
        pool.seen[kind] += 1
        if len(kept) < POOL:
            kept.append(Candidate(input, output, values, size))
        elif (place := rng.randrange(pool.seen[kind])) < POOL:
            kept[place] = Candidate(input, output, values, size)
    return pool


def choose(pool: Pool, count: int, room: int) -> list[Candidate]:
    """At most `count` rows that take at most `room` bytes together, in the order in which they are to be shown."""
    left = pool.candidates()
    vectors = _vectors(left)
    typical = _typicality(left, vectors)
    places, likeness = list(range(len(left))), [0.0] * len(left)
    shown: Counter[Value] = Counter()
    chosen: list[Candidate] = []
    while len(chosen) < count:
        places = [place for place in places if left[place].size <= room]
        if not places:
            break
        best = max(
            places,
            key=lambda place: (_gain(left[place], shown, pool.counts), typical[place] - likeness[place], -place),
        )
        chosen.append(left[best])
        shown.update(left[best].values)
        room -= left[best].size
        places.remove(best)
        for place in places:
            likeness[place] = max(likeness[place], _cosine(vectors[place], vectors[best]))
    return chosen


def _gain(one: Candidate, shown: Counter[Value], counts: Counter[Value]) -> float:
    """How much showing it adds to what is covered. Rounded, so that equals are equal."""
    return round(sum(math.log1p(counts[value]) / (1 + shown[value]) ** 2 for value in one.values), 9)


def _typicality(candidates: Sequence[Candidate], vectors: Sequence[dict[str, float]]) -> list[float]:
    """The cosine of each with the mean of its kind, 0..1."""
    centres: dict[tuple[Value, ...], dict[str, float]] = {}
    for one, vector in zip(candidates, vectors, strict=True):
        centre = centres.setdefault(one.values, {})
        for word, weight in vector.items():
            centre[word] = centre.get(word, 0.0) + weight
    lengths = {kind: math.hypot(*centre.values()) or 1.0 for kind, centre in centres.items()}
    return [
        _cosine(vector, centres[one.values]) / lengths[one.values]
        for one, vector in zip(candidates, vectors, strict=True)
    ]


def _vectors(candidates: Sequence[Candidate]) -> list[dict[str, float]]:
    """TF-IDF of each input's words, of length 1."""
    words = [Counter(_WORD.findall(_text(one.input).lower())) for one in candidates]
    documents = Counter(word for one in words for word in one)
    vectors = []
    for one in words:
        weights = {
            word: times * (math.log((1 + len(words)) / (1 + documents[word])) + 1) for word, times in one.items()
        }
        length = math.hypot(*weights.values()) or 1.0
        vectors.append({word: weight / length for word, weight in weights.items()})
    return vectors


def _cosine(one: dict[str, float], other: dict[str, float]) -> float:
    return math.fsum(weight * other[word] for word, weight in one.items() if word in other)


def _text(value: object) -> str:
    """The words inside a JSON value, without its keys."""
    if isinstance(value, dict):
        return " ".join(map(_text, value.values()))
    if isinstance(value, list):
        return " ".join(map(_text, value))
    return "" if value is None else str(value)
