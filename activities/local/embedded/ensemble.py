"""The models of all output fields, fitted together on encoded rows."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from activities.local.embedded.features import PRUNE_FROM, Features, texts
from activities.local.embedded.fields import UNKNOWN, Leaf
from activities.local.embedded.heads import EVIDENCE, Categorical, Constant, Head, HeadClass, choose
from activities.local.embedded.learners import Floats, Ints, Matrix, matrix_of
from activities.local.embedded.recipes import Recipe
from activities.local.embedded.spans import Tagger, is_span_field
from activities.local.embedded.tokens import Sentence, TokenFeatures

NO_TOKENS = matrix_of((), 0)


@dataclass(frozen=True)
class Rows:
    """Encoded inputs: `matrix` (rows, columns) for the field heads; sentences and `tokens` for the tagger."""

    matrix: Matrix
    sentences: list[list[Sentence]]
    tokens: Matrix

    def take(self, index: Ints) -> "Rows":
        return Rows(self.matrix[index], [self.sentences[row] for row in index], self.tokens)


@dataclass(frozen=True)
class Encoder:
    """What turns inputs into `Rows`."""

    features: Features
    token_features: TokenFeatures | None

    @classmethod
    def fit(
        cls, inputs: list[dict[str, Any]], tagged_paths: tuple[str, ...], sentences: str | None = None
    ) -> tuple["Encoder", Rows]:
        features, matrix = Features.fit(inputs, sentences)
        if not tagged_paths:
            return cls(features, None), Rows(matrix, [[] for _ in inputs], NO_TOKENS)
        token_features = TokenFeatures.fit(inputs, tagged_paths, 2 if len(inputs) >= PRUNE_FROM else 1)
        return cls(features, token_features), Rows(matrix, *token_features.encode(inputs))

    def narrowed(self, rows: Rows, words: bool, sentences: bool) -> tuple["Encoder", Rows]:
        """Without the terms, or without the sentence vectors."""
        features, columns = self.features.kept(words, sentences)
        return replace(self, features=features), replace(rows, matrix=rows.matrix[:, columns])

    def encode(self, inputs: list[dict[str, Any]]) -> Rows:
        matrix = self.features.matrix(inputs)
        if self.token_features is None:
            return Rows(matrix, [[] for _ in inputs], NO_TOKENS)
        return Rows(matrix, *self.token_features.encode(inputs))


@dataclass(frozen=True)
class Plan:
    """Which fields the tagger does, which head does each other one, and the texts to tag."""

    leaves: tuple[Leaf, ...]
    spans: tuple[int, ...]
    heads: tuple[tuple[int, HeadClass], ...]
    tagged_paths: tuple[str, ...]
    recipes: dict[int, Recipe] = field(default_factory=dict)

    @classmethod
    def make(cls, leaves: list[Leaf], columns: list[list[Any]], inputs: list[dict[str, Any]]) -> "Plan":
        """`columns[f]` are the teacher's values of field f, `UNKNOWN` where they break the schema."""
        spans: list[int] = []
        heads: list[tuple[int, HeadClass]] = []
        for at, (leaf, column) in enumerate(zip(leaves, columns, strict=True)):
            known = [(value, data) for value, data in zip(column, inputs, strict=True) if value is not UNKNOWN]
            values = [value for value, _ in known]
            if is_span_field(leaf, values, [data for _, data in known]):
                spans.append(at)
            else:
                heads.append((at, choose(leaf, values)))
        wanted = [columns[at] for at in spans]
        return cls(tuple(leaves), tuple(spans), tuple(heads), _holding_paths(wanted, inputs))

    def describes_best(self, rows: Rows, columns: list[list[Any]], dimensions: int, seed: int) -> tuple[bool, bool]:
        """Whether to describe inputs by (words, sentence vectors): what suits the categorical fields best."""
        areas = {(True, False): 0.0, (True, True): 0.0, (False, True): 0.0}
        for at, kind in self.heads:
            known = _known(columns[at])
            if kind is Categorical and len(known):
                matrix, values = rows.matrix[known], [columns[at][row] for row in known]
                end = matrix.shape[1] - dimensions
                for words, sentences in areas:
                    part = matrix[:, : end if not sentences else None] if words else matrix[:, end:]
                    areas[words, sentences] += Categorical.trial(part, values, seed)[1]
        return min(areas, key=lambda one: areas[one])

    def tried(self, rows: Rows, columns: list[list[Any]], seed: int) -> "Plan":
        """With the recipes that suit the categorical fields best."""
        recipes = {}
        for at, kind in self.heads:
            known = _known(columns[at])
            if kind is Categorical and len(known):
                recipes[at] = Categorical.trial(rows.matrix[known], [columns[at][row] for row in known], seed)[0]
        return replace(self, recipes=recipes)


def _holding_paths(columns: list[list[Any]], inputs: list[dict[str, Any]]) -> tuple[str, ...]:
    """Input paths whose texts hold at least a twentieth of the span values, the richest first."""
    hits: dict[str, int] = {}
    for row, data in enumerate(inputs):
        wanted = [str(column[row]) for column in columns if column[row] not in (None, "", UNKNOWN)]
        for path, text in texts(data).items() if wanted else ():
            hits[path] = hits.get(path, 0) + sum(value in text for value in wanted)
    enough = sum(hits.values()) / 20
    return tuple(path for path in sorted(hits, key=lambda path: -hits[path]) if hits[path] > enough)


@dataclass(frozen=True)
class Ensemble:
    """All fitted heads. Values come in the order of `plan.leaves`."""

    plan: Plan
    heads: tuple[Head, ...]
    tagger: Tagger | None
    fallbacks: tuple[Any, ...] = field(default=())

    @classmethod
    def fit(cls, plan: Plan, rows: Rows, columns: list[list[Any]], seed: int) -> "Ensemble":
        heads = [
            _fit_head(kind, rows, plan.leaves[at], columns[at], seed, plan.recipes.get(at)) for at, kind in plan.heads
        ]
        tagger = None
        if plan.spans:
            values = [[None if value is UNKNOWN else value for value in columns[at]] for at in plan.spans]
            fields = [plan.leaves[at] for at in plan.spans]
            tagger = Tagger.fit(fields, rows.sentences, rows.tokens, values, seed)
        common = [
            _fit_head(Constant, rows, leaf, column, seed) for leaf, column in zip(plan.leaves, columns, strict=True)
        ]
        fallbacks = [head.predict(rows.matrix[:1])[0] for head in common]
        return cls(plan, tuple(heads), tagger, tuple(value for one in fallbacks for value in one))

    def predict(self, rows: Rows) -> tuple[list[list[Any]], Floats]:
        """Values (rows x fields, all valid for the schema) and evidence, shape (rows, heads, EVIDENCE)."""
        count = rows.matrix.shape[0]
        values: list[list[Any]] = [list(self.fallbacks) for _ in range(count)]
        evidence = [np.zeros((count, EVIDENCE))] if not self.heads and not self.tagger else []
        for (at, _), head in zip(self.plan.heads, self.heads, strict=True):
            column, proof = head.predict(rows.matrix)
            evidence.append(proof)
            self._place(values, [at], [[value] for value in column])
        if self.tagger:
            scores = self.tagger.linear.scores(rows.tokens)
            tagged = [self.tagger.predict(sentences, scores) for sentences in rows.sentences]
            proofs = np.zeros((count, EVIDENCE))
            proofs[:, :2] = [proof for _, proof in tagged]
            evidence.append(proofs)
            self._place(values, list(self.plan.spans), [found for found, _ in tagged])
        return values, np.stack(evidence, axis=1)

    def _place(self, values: list[list[Any]], fields: list[int], found: list[list[Any]]) -> None:
        """Put predictions where they belong, but for those that the schema forbids (a required field not found)."""
        for row, new in zip(values, found, strict=True):
            for at, value in zip(fields, new, strict=True):
                if self.plan.leaves[at].allows(value):
                    row[at] = value

    @property
    def groups(self) -> list[list[int]]:
        """The fields behind each head, in the order of the evidence."""
        return [[at] for at, _ in self.plan.heads] + ([list(self.plan.spans)] if self.tagger else [])


def _fit_head(
    kind: HeadClass, rows: Rows, leaf: Leaf, column: list[Any], seed: int, recipe: Recipe | None = None
) -> Head:
    known = _known(column)
    values = [column[row] for row in known]
    if not values or (kind.__name__ == "Number" and all(value is None for value in values)):
        kind = Constant
    matrix = rows.matrix[known] if len(known) < len(column) else rows.matrix
    if kind is Categorical:
        return Categorical.fit(matrix, leaf, values, seed, recipe)
    return kind.fit(matrix, leaf, values, seed)


def _known(column: list[Any]) -> Ints:
    """The rows whose value the schema allows."""
    return np.array([row for row, value in enumerate(column) if value is not UNKNOWN], dtype=np.intp)
