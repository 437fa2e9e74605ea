"""Which inputs are the same question in other clothes: such never stand on both sides of the hold-out.

A sketch of an input is what is left of it without case, accents, punctuation, spacing, courtesies and, in a sentence,
the order of its words. Inputs of one sketch are split together (`fingerprint`), by content alone. What differs in one
word cannot be told from one input's content, so it is dropped from training when a data set is written (`Twins`).

The rule is narrow on purpose. Texts that share most of their words are often different questions ("a table for 7", "a
table for 8"), and where all requests share a letterhead, all of them would be one question: nothing could be learnt.
"""

import hashlib
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from apprentice.datasets import normalise

COURTESIES = frozenset(
    ["a", "an", "the", "please", "pls", "plz", "hi", "hello", "hey", "dear", "thanks", "thank", "thx"]
)
SENTENCE = 4
"""Different words of two letters and more from which a text is a sentence, whose words may change places."""
MOSTLY = 0.7
"""... and share of its words that they are at least. In "north south north" or "x o x" the order is what is said."""
ONE_MORE, ONE_OTHER = 4, 8
"""Words that two inputs share, from which one more in one of them, or another in each, is no other question: 80% of all
their words (Jaccard)."""
SLOT = 3
"""Hold-out inputs with different words in one place, from which that place is the blank of a form, not a variation."""
CORRECTED_FROM = 5
"""Letters of a word in which a slip is seen through; shorter ones are too often one letter from another word."""
FORMS = 0.1
"""Share of the training inputs that differ from hold-out ones in one word, from which requests are forms filled in: the
one word is then what each is about. Natural traffic has 1 to 3%."""
_WORD = re.compile(r"[^\W_]+")

_APOSTROPHES = frozenset("'`\u2018\u2019\u02bc")

type Sketch = tuple[str, ...]


def sketch(input: Mapping[str, Any]) -> Sketch:
    """The input's pieces, each with the path where it stands, in canonical order.

    Numbers, truth values and nulls count exactly, digits in texts too.
    """
    pieces: list[str] = []
    for path, value in _scalars(input):
        words = _words(value) if isinstance(value, str) else [normalise(value)]
        pieces += [f"{path}\0{word}" for word in words]
    return tuple(sorted(pieces))


def fingerprint(input: Mapping[str, Any]) -> str:
    """SHA-256 of the sketch, 64 hex digits: what the hold-out split hashes. It never changes between releases."""
    return fingerprint_of(sketch(input))


def fingerprint_of(drawn: Sketch) -> str:
    """The fingerprint of the input that this sketch is of."""
    return hashlib.sha256("\1".join(drawn).encode("utf-8", "surrogatepass")).hexdigest()


class Twins:
    """The hold-out inputs, to be asked which training inputs are too much like one of them. Linear in their words."""

    def __init__(self) -> None:
        self._whole: set[Sketch] = set()
        self._totals: set[int] = set()
        self._blanks: defaultdict[int, set[str]] = defaultdict(set)
        self._shortened: defaultdict[int, set[str]] = defaultdict(set)

    def take(self, inputs: Iterable[Mapping[str, Any]]) -> None:
        """Take in hold-out inputs."""
        for input in inputs:
            self.add(sketch(input))

    def add(self, held: Sketch) -> None:
        """Take in the sketch of a hold-out input."""
        self._whole.add(held)
        self._totals.add(_total(held))
        for place, word, without in _each_left_out(held):
            self._blanks[without + hash(place)].add(word)
            self._shortened[without].add(word)

    def same(self, other: Sketch) -> bool:
        """Whether a hold-out input has this sketch, but for one slip: a letter more, less, other, or two swapped."""
        return other in self._whole or any(
            _one_slip(word, held)
            for place, word, without in _each_left_out(other)
            for held in self._blanks.get(without + hash(place), ())
        )

    def close(self, other: Sketch) -> bool:
        """Whether a hold-out input, a long sentence, has one word more, less or other; figures are no words.

        Not where hold-out inputs show that the word's place is a blank to be filled in.
        """
        left_out = list(_each_left_out(other))
        if len(left_out) >= ONE_MORE and 0 < len(self._shortened.get(_total(other), ())) < SLOT:
            return True
        for place, _, without in left_out if len(left_out) > ONE_MORE else ():
            held = len(self._blanks.get(without + hash(place), ()))
            if held < SLOT and (without in self._totals or (held and len(left_out) > ONE_OTHER)):
                return True
        return False

    def apart(self, training: Iterable[Sketch]) -> Callable[[Sketch], bool]:
        """What tells which of these sketches may be trained on."""
        close = [self.close(one) for one in training]
        if sum(close) > FORMS * len(close):
            return lambda one: not self.same(one)
        return lambda one: not (self.same(one) or self.close(one))


def _scalars(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """(path, scalar) of everything inside; an empty list or object is one too. Items of a list keep their places."""
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _scalars(inner, f"{path}.{name}")
    elif isinstance(value, list | tuple) and value:
        for place, inner in enumerate(value):
            yield from _scalars(inner, f"{path}.{place}")
    else:
        yield path, value


def _words(text: str) -> list[str]:
    """The words that make the text; those whose place matters are numbered. Without words, the text itself."""
    letters = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(c for c in letters if c not in _APOSTROPHES and not unicodedata.combining(c))
    words = _WORD.findall(plain)
    said = [word for word in words if word not in COURTESIES] or words
    if not said:
        return ["=" + "".join(plain.split())]
    movable = {word for word in said if len(word) >= 2 and word.isalpha()}
    if len(movable) < SENTENCE or len(movable) < MOSTLY * len(said):
        return [f"{place} {word}" for place, word in enumerate(said)]
    fixed = [word for word in said if word not in movable]
    return [*movable, *(f"{place} {word}" for place, word in enumerate(fixed))]


def _total(pieces: Sketch) -> int:
    """A number for the pieces together. A sum, so that leaving one out is a subtraction; an accident does no harm."""
    return sum(map(hash, pieces))


def _each_left_out(pieces: Sketch) -> Iterator[tuple[str, str, int]]:
    """For each word of letters alone: its place, the word, and the total of all other pieces."""
    total = _total(pieces)
    for piece in pieces:
        path, _, word = piece.rpartition("\0")
        number, _, letters = word.rpartition(" ")
        if letters.isalpha() and len(letters) > 1:
            yield f"{path}\0{number}", letters, total - hash(piece)


def _one_slip(one: str, other: str) -> bool:
    """Whether the words are one insertion, deletion, substitution or swap of neighbours apart."""
    if len(one) < len(other):
        one, other = other, one
    if len(one) < CORRECTED_FROM or len(one) - len(other) > 1:
        return False
    at = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), len(other))
    if len(one) > len(other):
        return one[at + 1 :] == other[at:]
    swapped = one[at : at + 2] == other[at : at + 2][::-1] and one[at + 2 :] == other[at + 2 :]
    return swapped or one[at + 1 :] == other[at + 1 :]
