"""Fields whose values are pieces of the input text: one token tagger for all of them together.

Tokens get B(egin), I(nside) or O(utside) tags from one linear model over their surroundings; the best sequence is
found by Viterbi with tag transitions counted in training. Probabilities come from the forward recursion over the same
scores (Rabiner 1989, "A tutorial on hidden Markov models", III.B-C).
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from activities.local.embedded.features import texts
from activities.local.embedded.fields import Leaf
from activities.local.embedded.figures import figures, read_figure
from activities.local.embedded.learners import Floats, Ints, Linear, Matrix, fit_svm
from activities.local.embedded.tokens import Sentence

PENALTY: Final = 0.3
TOLERANCE: Final = 0.01
EMISSION: Final = 4.0
TRANSITION: Final = 0.5
"""Scale of tagger scores and of transition log-odds: the best of a grid on 500 and 6,000 recorded bookings."""
FORBIDDEN: Final = -1e4
NO_EVIDENCE: Final = (12.0, 4.0)
FORMS: Final[dict[str, Callable[[str], str]]] = {
    "as it stands": str,
    "lower": str.lower,
    "upper": str.upper,
    "title": str.title,
}
"""How a teacher may write what it took from a text; each field has the one that was seen most."""


def is_span_field(leaf: Leaf, values: list[Any], inputs: list[dict[str, Any]]) -> bool:
    """Whether at least 80% of the field's values are pieces of the input and they are too many to be a category."""
    if leaf.kind not in ("str", "int", "float"):
        return False
    given = [(str(value), data) for value, data in zip(values, inputs, strict=True) if value not in (None, "")]
    distinct = len({value for value, _ in given})
    if not given or distinct <= min(20, len(given) // 5):
        return False
    sample = given[:1000]
    inside = sum(any(_holds(text, value, leaf) for text in texts(data).values()) for value, data in sample)
    return inside >= 0.8 * len(sample)


def _holds(text: str, value: str, leaf: Leaf) -> bool:
    if leaf.kind == "str":
        return value in text or value.casefold() in text.casefold()
    return value in text or any(number == float(value) for _, _, number in figures(text))


@dataclass(frozen=True)
class Tagger:
    """Tags: 0 is O, 2f+1 is B, 2f+2 is I of field f. `transitions`: shape (tags + 1, tags); the last row starts."""

    fields: tuple[Leaf, ...]
    linear: Linear
    transitions: Floats
    forms: tuple[str, ...]

    @classmethod
    def fit(
        cls, fields: list[Leaf], rows: list[list[Sentence]], matrix: Matrix, values: list[list[Any]], seed: int
    ) -> "Tagger":
        """`rows` hold each row's sentences, whose tokens are rows of `matrix`; `values[f]` is the column of field f."""
        tagged: list[tuple[Sentence, list[int]]] = []
        forms = [Counter[str]() for _ in fields]
        for row, sentences in enumerate(rows):
            wanted = ["" if column[row] is None else str(column[row]) for column in values]
            for sentence, tags in _tag(sentences, wanted, fields):
                tagged.append((sentence, tags))
                for field, begin, end in _pieces(tags):
                    piece = sentence.piece(begin, end)
                    forms[field].update(name for name, form in FORMS.items() if form(piece) == wanted[field])
        tokens = [np.arange(sentence.first, sentence.first + len(sentence.tokens)) for sentence, _ in tagged]
        codes: Ints = np.array([tag for _, tags in tagged for tag in tags], dtype=np.intp)
        count = 2 * len(fields) + 1
        if not len(codes):
            linear = Linear(np.zeros((matrix.shape[1], count), np.float32), -np.ones(count, np.float32))
        else:
            matrix = matrix[np.concatenate(tokens)]
            linear = fit_svm(matrix, codes, count, penalty=PENALTY, seed=seed, tolerance=TOLERANCE)
        usual = tuple(max(FORMS, key=lambda name: counts[name]) for counts in forms)
        return cls(tuple(fields), linear, _transitions([tags for _, tags in tagged], count), usual)

    def predict(self, sentences: list[Sentence], of_tokens: Floats) -> tuple[list[Any], tuple[float, float]]:
        """Values of the fields in one row, and evidence: log-odds of the best tagging and the closest single call.

        `of_tokens` are the scores of all rows' tokens, shape (tokens, tags).
        """
        best: dict[int, tuple[float, str]] = {}
        log_probability, closest = 0.0, NO_EVIDENCE[1]
        for sentence in sentences:
            if not sentence.tokens:
                continue
            scores = of_tokens[sentence.first : sentence.first + len(sentence.tokens)]
            tags, log_path = self._decode(EMISSION * scores)
            log_probability += log_path
            top = np.partition(scores, -2, axis=1)[:, -2:]
            closest = min(closest, float((top[:, 1] - top[:, 0]).min()))
            for field, begin, end in _pieces(tags):
                strength = float(scores[begin, 2 * field + 1])
                if strength > best.get(field, (-np.inf, ""))[0]:
                    best[field] = strength, sentence.piece(begin, end)
        probability = min(max(float(np.exp(log_probability)), 1e-6), 1 - 1e-6)
        odds = float(np.log(probability / (1 - probability)))
        values = [
            _restore(FORMS[form](best[f][1]) if f in best else None, leaf)
            for f, (leaf, form) in enumerate(zip(self.fields, self.forms, strict=True))
        ]
        return values, (odds, closest)

    def _decode(self, emissions: Floats) -> tuple[list[int], float]:
        """The best tags and the log-probability of that whole sequence."""
        inner = self.transitions[:-1]
        ahead = forward = emissions[0] + self.transitions[-1]
        back: list[Ints] = []
        columns = np.arange(emissions.shape[1])
        for emission in emissions[1:]:
            steps = ahead[:, None] + inner
            back.append(steps.argmax(axis=0))
            ahead = steps[back[-1], columns] + emission
            sums = forward[:, None] + inner
            peak = sums.max(axis=0)
            forward = peak + np.log(np.exp(sums - peak).sum(axis=0)) + emission
        tags = [int(ahead.argmax())]
        for pointers in reversed(back):
            tags.append(int(pointers[tags[-1]]))
        peak_end = float(forward.max())
        total = peak_end + float(np.log(np.exp(forward - peak_end).sum()))
        return tags[::-1], float(ahead.max()) - total


def _tag(sentences: list[Sentence], wanted: list[str], fields: list[Leaf]) -> Iterable[tuple[Sentence, list[int]]]:
    """Tag the first free place of each wanted value, the longest values first, so that the short do not cut them."""
    tags = [[0] * len(sentence.tokens) for sentence in sentences]
    for field in sorted(range(len(wanted)), key=lambda f: -len(wanted[f])):
        if wanted[field]:
            for sentence, row in zip(sentences, tags, strict=True):
                if place := sentence.find(wanted[field], row, figure=fields[field].kind != "str"):
                    begin, end = place
                    row[begin : end + 1] = [2 * field + 1] + [2 * field + 2] * (end - begin)
                    break
    return zip(sentences, tags, strict=True)


def _pieces(tags: list[int]) -> Iterable[tuple[int, int, int]]:
    begin = 0
    while begin < len(tags):
        end = begin
        if tags[begin] % 2 == 1:
            while end + 1 < len(tags) and tags[end + 1] == tags[begin] + 1:
                end += 1
            yield tags[begin] // 2, begin, end
        begin = end + 1


def _transitions(sequences: list[list[int]], count: int) -> Floats:
    """Log-odds of a tag after another against that tag anywhere; I only ever follows its own B or I."""
    seen = Counter((before, tag) for tags in sequences for before, tag in zip([count, *tags], tags, strict=False))
    table = np.full((count + 1, count), 0.1)
    for (before, tag), n in seen.items():
        table[before, tag] += n
    odds = np.log(table / table.sum(axis=1, keepdims=True)) - np.log(table.sum(axis=0) / table.sum())
    odds *= TRANSITION
    for inside in range(2, count, 2):
        others = [before for before in range(count + 1) if before not in (inside - 1, inside)]
        odds[others, inside] = FORBIDDEN
    return np.asarray(odds, dtype=np.float64)


def _restore(text: str | None, leaf: Leaf) -> Any:
    """The field's value from its text: None where nothing was found, or no number where one is due."""
    if text is None or leaf.kind == "str":
        return text
    number = read_figure(text)
    if number is None or leaf.kind == "float":
        return number
    return int(number) if number.is_integer() else None
