"""Texts as tokens, and what a tagger may look at around each of them."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from activities.local.embedded.features import texts
from activities.local.embedded.figures import figures
from activities.local.embedded.learners import Matrix, indicators_of
from apprentice.scalars import scalars

TOKEN = re.compile(r"\d+|[^\W\d_]+|[^\w\s]|_")
"""Runs of digits and of letters are tokens of their own, so that "7" can be cut out of "7pm"."""
MAX_TOKENS = 1000
MAX_CONTEXT = 8
PAD = 3


@dataclass(frozen=True)
class Sentence:
    """One text of one input. `tokens` are (start, end) offsets; `first` is the matrix row of the first token."""

    text: str
    tokens: tuple[tuple[int, int], ...]
    first: int

    def piece(self, begin: int, end: int) -> str:
        """The text from token `begin` to token `end`."""
        return self.text[self.tokens[begin][0] : self.tokens[end][1]]

    def find(self, value: str, taken: list[int], *, figure: bool = False) -> tuple[int, int] | None:
        """First and last token of the first place where `value` stands on token borders and no tag is set yet.

        As it is written if possible, else in another case; `figure`: else as the same number.
        """
        starts = {start: at for at, (start, _) in enumerate(self.tokens)}
        ends = {end: at for at, (_, end) in enumerate(self.tokens)}
        for start, stop in self._places(value, figure):
            begin, end = starts.get(start), ends.get(stop)
            if begin is not None and end is not None and not any(taken[begin : end + 1]):
                return begin, end
        return None

    def _places(self, value: str, figure: bool) -> Iterator[tuple[int, int]]:
        for text, wanted in ((self.text, value), (self.text.lower(), value.lower())):
            place = text.find(wanted)
            while place >= 0:
                yield place, place + len(wanted)
                place = text.find(wanted, place + 1)
        if figure:
            yield from ((begin, end) for begin, end, number in figures(self.text) if number == float(value))


@dataclass(frozen=True)
class TokenFeatures:
    """The vocabulary of token surroundings. `paths` are the input paths whose texts are tagged."""

    paths: tuple[str, ...]
    vocabulary: dict[str, int]

    @classmethod
    def fit(cls, inputs: list[dict[str, Any]], paths: tuple[str, ...], min_count: int) -> "TokenFeatures":
        seen: Counter[str] = Counter()
        for data in inputs:
            for _, rows in _surroundings(data, paths):
                for row in rows:
                    seen.update(row)
        kept = (name for name, count in seen.items() if count >= min_count)
        return cls(paths, {name: column for column, name in enumerate(kept)})

    def encode(self, inputs: list[dict[str, Any]]) -> tuple[list[list[Sentence]], Matrix]:
        """Each input's sentences, and the matrix of shape (all tokens, vocabulary)."""
        rows: list[list[int]] = []
        sentences: list[list[Sentence]] = []
        for data in inputs:
            sentences.append([])
            for (text, tokens), surroundings in _surroundings(data, self.paths):
                sentences[-1].append(Sentence(text, tokens, len(rows)))
                rows += [[c for c in map(self.vocabulary.get, row) if c is not None] for row in surroundings]
        return sentences, indicators_of(rows, len(self.vocabulary))


type Tokens = tuple[str, tuple[tuple[int, int], ...]]


def _surroundings(data: dict[str, Any], paths: tuple[str, ...]) -> Iterator[tuple[Tokens, list[list[str]]]]:
    found = texts(data)
    context = _context(data, paths)
    for path in paths:
        if path in found:
            text = found[path]
            matches = [match for match, _ in zip(TOKEN.finditer(text), range(MAX_TOKENS), strict=False)]
            tokens = tuple((match.start(), match.end()) for match in matches)
            here = [*context, f"path={path}"] if len(paths) > 1 else context
            yield (text, tokens), _rows([match.group() for match in matches], tokens, here)


def _context(data: dict[str, Any], paths: tuple[str, ...]) -> list[str]:
    """Everything short in the input besides the tagged texts: each item, and all of them together."""
    items = sorted({f"{path}={value}"[:60] for path, value in scalars(data) if path not in paths})[:MAX_CONTEXT]
    return [*items, "context=" + "&".join(items)]


def _rows(words: list[str], offsets: tuple[tuple[int, int], ...], context: list[str]) -> list[list[str]]:
    lower = ["<"] * PAD + [word.lower() for word in words] + [">"] * PAD
    shape = ["<"] * PAD + [_shape(word[:30]) for word in words] + [">"] * PAD
    last = len(words) - 1
    glued = [0 if at and offsets[at - 1][1] == offsets[at][0] else 1 for at in range(len(words))] + [1]
    rows = []
    for at in range(len(words)):
        row = _around(lower, shape, at + PAD)
        row += [f"glue={glued[at]}{glued[at + 1]}", f"start={min(at, 4)}", f"end={min(last - at, 4)}"]
        word, form = lower[at + PAD], shape[at + PAD]
        for item in context:
            row += [item, f"{item}|w={word}", f"{item}|s={form}"]
        row += [f"{context[-1]}|start={min(at, 2)}", f"{context[-1]}|length={min(last, 6)}"]
        rows.append(row)
    return rows


def _around(lower: list[str], shape: list[str], at: int) -> list[str]:
    """Words, affixes and shapes of the token at `at` and three to each side, alone and in combination."""
    w, s = lower[at], shape[at]
    before, after = lower[at - 1], lower[at + 1]
    two_before, two_after = lower[at - 2], lower[at + 2]
    shape_before, shape_after = shape[at - 1], shape[at + 1]
    return [
        f"w={w}",
        f"s={s}",
        f"p2={w[:2]}",
        f"p3={w[:3]}",
        f"e2={w[-2:]}",
        f"e3={w[-3:]}",
        f"w-3={lower[at - 3]}",
        f"w-2={two_before}",
        f"w-1={before}",
        f"w+1={after}",
        f"w+2={two_after}",
        f"w+3={lower[at + 3]}",
        f"s-2={shape[at - 2]}",
        f"s-1={shape_before}",
        f"s+1={shape_after}",
        f"s+2={shape[at + 2]}",
        f"w-1w={before} {w}",
        f"ww+1={w} {after}",
        f"w-2w-1={two_before} {before}",
        f"w+1w+2={after} {two_after}",
        f"w-1ww+1={before} {w} {after}",
        f"s-1s={shape_before} {s}",
        f"ss+1={s} {shape_after}",
        f"s-1ss+1={shape_before} {s} {shape_after}",
        f"ss+1s+2={s} {shape_after} {shape[at + 2]}",
        f"w-1s={before} {s}",
        f"w-2s={two_before} {s}",
        f"sw+1={s} {after}",
        f"sw+2={s} {two_after}",
        f"w-2w-1s={two_before} {before} {s}",
    ]


@lru_cache(maxsize=10_000)
def _shape(word: str) -> str:
    """ "2018" -> "dd+", "Maria" -> "Xx+": kinds of characters, runs shortened."""
    kinds = ("d" if c.isdigit() else "X" if c.isupper() else "x" if c.isalpha() else c for c in word)
    return re.sub(r"(.)\1+", r"\1+", "".join(kinds))
