"""How unlike what a model was taught an input is: by the words, values and magnitudes in it that training never saw.

A profile of the training inputs holds how many of them each token occurs in: words of free text, values of enum-like
fields, orders of magnitude of numbers, and which fields are there at all. It holds hashes, no text.
"""

import base64
import math
import re
import unicodedata
import zlib
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from apprentice.scalars import scalars

TOKENS_KEPT = 4096
"""Of a profile, those that most inputs have: 32 KiB. What is left out counts as never seen, as it hardly was."""
USUAL_SHARE, USUAL_FROM = 0.99, 1000
"""Of the newest training inputs, each seen by the others alone, this share has a novelty of less than `FAR`."""
FAR = 0.5
LEAST_USUAL, MOST_USUAL = 0.2, 0.9
"""However alike the training inputs are, less that is new is not far; however varied, more is."""
LONGEST_TEXT = 2000
"""Characters of a text that are read: it bounds the time, and what a request is about is said early."""
LONGEST_WORD = 16
PIECE = 3
"""Characters of a piece of a longer word: scripts without spaces write a sentence as one."""
MOST_VALUES = 100
SEEN_EACH = 8
"""A field with at most so many values, each seen so often on average, is enum-like."""
LONGEST_VALUE = 100
MOST_CLASSES = 256
"""1.4 KiB, which a task's state carries."""
RARE = 65535
"""Counts are kept in two bytes."""

_WORDS = re.compile(r"\w+")
_DIGITS = re.compile(r"\d+")


class Profile(BaseModel):
    """Of the training inputs and outputs of one version. Arrays are little-endian, in base64.

    `hashes` are 32 bits each in ascending order, `counts` 16 bits each; `fields` are hashes of the paths of enum-like
    fields; `classes`, for `knows`, are hashes of the classes in the outputs and of the paths that hold classes, none
    if there are more than `MOST_CLASSES`. `usual` is the share of new things that hardly any training input passes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    inputs: int = Field(ge=0)
    hashes: str
    counts: str
    usual: float = Field(ge=LEAST_USUAL, le=MOST_USUAL)
    fields: list[int] = []
    classes: str = ""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        """A damaged file is found out when it is read, not by the request or the task that uses it."""
        if not len(_unpacked(4, self.hashes)) == len(_unpacked(2, self.counts)) <= TOKENS_KEPT:
            raise ValueError("every token has a count")
        if len(_unpacked(4, self.classes)) > MOST_CLASSES:
            raise ValueError(f"more than {MOST_CLASSES} classes")
        return self

    @classmethod
    def of(cls, rows: Iterable[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> "Profile":
        """Of (input, output) rows, each read once. Time and space are linear in what they hold."""
        number, seen = 0, Counter[int]()
        inputs, outputs = _Values(), _Values()
        newest: deque[Mapping[str, Any]] = deque(maxlen=USUAL_FROM)
        for input, output in rows:
            number += 1
            words, structure, _ = _tokens(input)
            seen.update({*words, *structure})
            inputs.add(input)
            outputs.add(output)
            newest.append(input)
        seen.update(inputs.values())
        classes = sorted({*outputs.paths(), *outputs.values()})
        # Of equal counts the smaller hash, so that the same rows give the same profile.
        kept = sorted(sorted(seen, key=lambda token: (-seen[token], token))[:TOKENS_KEPT])
        profile = cls(
            inputs=number,
            hashes=_packed(4, kept),
            counts=_packed(2, [min(seen[token], RARE) for token in kept]),
            usual=MOST_USUAL,
            fields=inputs.paths(),
            classes=_packed(4, classes if len(classes) <= MOST_CLASSES else []),
        )
        shares = sorted(profile.share(input, own=1) for input in newest)
        usual = shares[int(USUAL_SHARE * (len(shares) - 1))] if shares else MOST_USUAL
        return profile.model_copy(update={"usual": min(max(usual, LEAST_USUAL), MOST_USUAL)})

    def novelty(self, input: Mapping[str, Any]) -> float:
        """0 for an input whose every token is common in training, 1 for one without any that training saw.

        `FAR` is what one training input in 100 reaches when the others alone are known.
        """
        share = self.share(input)
        if share < self.usual:
            return FAR * share / self.usual
        return FAR + (1.0 - FAR) * (share - self.usual) / (1.0 - self.usual)

    def share(self, input: Mapping[str, Any], own: int = 0) -> float:
        """The share of new things, 0..1. `own` is 1 for a training input, to be seen by the others alone.

        Each token counts as new by 1 / (1 + inputs that have it), weighted with how much it says (idf); fields and
        magnitudes are weighed on their own, so that one new enum value is not lost in a long text.
        """
        words, structure, values = _tokens(input)
        known = self._fields
        enums = [_hash(f"{path}={value}") for path, value in values if _hash(path) in known]
        return 1.0 - (1.0 - self._new(words, own)) * (1.0 - self._new([*structure, *enums], own))

    def _new(self, tokens: Iterable[int], own: int) -> float:
        new = whole = 0.0
        for token in dict.fromkeys(tokens):
            count = max(self._counts.get(token, 0) - own, 0)
            weight = 1.0 + math.log((self.inputs + 1.0) / (count + 1.0))
            new += weight / (1.0 + count)
            whole += weight
        return min(max(new / whole, 0.0), 1.0) if whole > 0.0 else 0.0

    @cached_property
    def _counts(self) -> dict[int, int]:
        return dict(zip(_unpacked(4, self.hashes), _unpacked(2, self.counts), strict=True))

    @cached_property
    def _fields(self) -> frozenset[int]:
        return frozenset(self.fields)


def knows(classes: str, output: Mapping[str, Any]) -> bool:
    """Whether training had every class in this output, by `Profile.classes`. True where nothing is known of classes."""
    known = set(_unpacked(4, classes))
    return all(
        _hash(path) not in known or _hash(f"{path}={str(value)[:LONGEST_VALUE]}") in known
        for path, value in scalars(output)
        if not _number(value)
    )


class _Values:
    """What values each path takes, up to the number from which it is no enum."""

    def __init__(self) -> None:
        self._seen: dict[str, Counter[str]] = {}

    def add(self, data: Mapping[str, Any]) -> None:
        for path, value in scalars(data):
            seen = self._seen.setdefault(path, Counter())
            if len(seen) <= MOST_VALUES and not _number(value):
                seen[str(value)[:LONGEST_VALUE]] += 1

    def paths(self) -> list[int]:
        """Hashes of the enum-like paths."""
        return sorted(_hash(path) for path in self._few())

    def values(self) -> dict[int, int]:
        """How often each value of an enum-like path was seen, by its hash."""
        return {_hash(f"{path}={value}"): n for path in self._few() for value, n in self._seen[path].items()}

    def _few(self) -> list[str]:
        return [
            path
            for path, seen in self._seen.items()
            if 0 < len(seen) <= MOST_VALUES and SEEN_EACH * len(seen) <= seen.total()
        ]


def _tokens(data: Mapping[str, Any]) -> tuple[list[int], list[int], list[tuple[str, str]]]:
    """Hashes of words, hashes of fields and magnitudes, and (path, value) of what may be an enum."""
    words: list[int] = []
    structure: list[int] = []
    values: list[tuple[str, str]] = []
    for path, value in scalars(data):
        structure.append(_hash(f"{path}?"))
        if _number(value):
            structure.append(_hash(f"{path}~{_magnitude(value)}"))
            continue
        values.append((path, str(value)[:LONGEST_VALUE]))
        if isinstance(value, str):
            words.extend(_hash(word) for word in _words(value))
    return words, structure, values


def _words(text: str) -> Iterator[str]:
    """Words without case or form; all numbers are one, since most are new."""
    for word in _WORDS.findall(unicodedata.normalize("NFKC", text[:LONGEST_TEXT]).casefold()):
        short = _DIGITS.sub("0", word)
        if len(short) <= LONGEST_WORD:
            yield short
        else:
            yield from (short[at : at + PIECE] for at in range(len(short) - PIECE + 1))


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _magnitude(value: float) -> str:
    """Sign and power of 4, so that a number must leave the usual range to be new."""
    if value == 0 or value != value or math.isinf(value):
        return str(value)
    return f"{'-' if value < 0 else '+'}{math.floor(math.log(abs(value), 4))}"


def _hash(text: str) -> int:
    """32 bits, the same on every machine: not Python's own."""
    return zlib.crc32(text.encode(errors="replace"))


def _packed(size: int, numbers: list[int]) -> str:
    return base64.b64encode(b"".join(number.to_bytes(size, "little") for number in numbers)).decode("ascii")


def _unpacked(size: int, text: str) -> list[int]:
    packed = base64.b64decode(text, validate=True)
    if len(packed) % size:
        raise ValueError("cut off")
    return [int.from_bytes(packed[at : at + size], "little") for at in range(0, len(packed), size)]
