"""An invented teacher: a random linear rule on the words of the input answers any output schema.

Each word has a weight for each option of each output field, drawn from a hash of (seed, field, option, word); the
option with the highest sum over the input's words wins. So the answers depend on nothing but the input, and a linear
student on bags of words can learn them: trained on 2,000 short bank messages, a logistic regression agrees with 79 to
86% of the answers to new ones (four options); on 300, with 70 to 80%.
"""

import hashlib
import math
import random
import re
import struct
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from apprentice.schema_types import Type

LABELS = ("alpha", "beta", "gamma", "delta", "epsilon")
RATINGS = (1, 2, 3, 4, 5)

_WORD = re.compile(r"\w+")


def words_of(input: Any) -> frozenset[str]:
    """The distinct words of all values of an input, in lower case."""
    match input:
        case dict():
            return frozenset().union(*map(words_of, input.values()))
        case list():
            return frozenset().union(*map(words_of, input))
        case _:
            return frozenset(_WORD.findall(str(input).lower()))


def answer(kind: Type, words: frozenset[str], seed: str) -> Any:
    """A value of the type `kind` for an input of these words. Optional ones are sometimes None."""
    if kind.optional and not choose((True, False), words, f"{seed}?"):
        return None
    if kind.kind == "object":
        return {name: answer(field, words, f"{seed}/{name}") for name, field in kind.fields.items()}
    if kind.kind == "list":
        return _members(kind.item or Type("str"), words, seed)
    if kind.kind == "float":
        return round(1 / (1 + math.exp(-_sums(1, words, seed)[0])), 2)
    if kind.kind == "dict":
        return {"label": choose(LABELS, words, seed)}
    return choose(_options(kind), words, seed)


def wrong_answer(kind: Type, output: dict[str, Any], coins: random.Random) -> dict[str, Any]:
    """The output with one field changed to another value of its type; unchanged if no field has another."""
    for name in coins.sample(list(kind.fields), len(kind.fields)):
        for _ in range(8):
            other = answer(kind.fields[name], frozenset({str(coins.random())}), str(coins.random()))
            if other != output[name]:
                return output | {name: other}
    return output


def choose[T](options: Sequence[T], words: frozenset[str], seed: str) -> T:
    """The option with the highest sum of weights; the first of equals."""
    sums = _sums(len(options), words, seed)
    return options[sums.index(max(sums))]


def _options(kind: Type) -> Sequence[Any]:
    """The values that a type is chosen from; none for a float, a list, a dict or an object."""
    if kind.choices:
        return kind.choices
    return {"str": LABELS, "int": RATINGS, "bool": (False, True)}.get(kind.kind, ())


def _members(item: Type, words: frozenset[str], seed: str) -> list[Any]:
    """The options whose sum is above zero, for a type that has options; else up to two values."""
    options = _options(item)
    if options:
        sums = _sums(len(options), words, seed)
        return [option for option, total in zip(options, sums, strict=True) if total > 0]
    return [answer(item, words, f"{seed}[{n}]") for n in range(choose((0, 1, 2), words, f"{seed}#"))]


def _sums(options: int, words: frozenset[str], seed: str) -> list[float]:
    """For each option the sum over the words. Sorted: in another order, the last bit of a sum could differ."""
    columns = [_weights(seed, word, options) for word in sorted(words)] or [_weights(seed, "", options)]
    return [sum(column) for column in zip(*columns, strict=True)]


@lru_cache(maxsize=100_000)
def _weights(seed: str, word: str, options: int) -> tuple[float, ...]:
    """One weight for each option. Cubed, so that few words matter much; over the length: short words are common.

    Without both, the answers hang on rare words that no student has seen: agreement 75 to 79%, not 79 to 86%.
    """
    digest = hashlib.shake_128(f"{seed}:{word}".encode()).digest(4 * options)
    return tuple((2 * value / 2**32 - 1) ** 3 / max(1, len(word)) for value in struct.unpack(f">{options}I", digest))
