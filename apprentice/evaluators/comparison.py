"""How much two JSON values agree, 0..1. What `structured_match` and `semantic_similarity` are made of.

The rules, for values `a` and `b` at one place:

- A missing value and null are the same thing. Both absent: 1. One absent: 0.
- Booleans only equal booleans; other values of different types (text, number, list, object) score 0. `1` is `1.0`.
- Numbers: 1 if they differ by at most the tolerance for that place, else 0.
- Text: equal after NFC and the case and white-space rules, else 0 (or as similar as `text_score` says).
- Lists: the mean over positions, counted to the longer one, so each surplus item scores 0. As sets: size of the
  intersection over size of the union (Jaccard, 1912); tolerance does not apply inside. Two empty lists: 1.
- Objects: the mean over the keys that either of them has, all alike in weight. Two empty objects: 1.

Every rule is symmetric, gives 1 for equal values, and stays in [0, 1].
"""

import json
import math
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from apprentice.settings import EvaluatorOptions

TextScore = Callable[[str, str], float]


@dataclass(frozen=True)
class Comparison:
    """The rules above with one task's options. `text_score` rates two texts that are not equal; None: they score 0."""

    options: EvaluatorOptions
    text_score: TextScore | None = None

    def score(self, a: Any, b: Any, path: str = "") -> float:
        """Agreement of two values at the dotted `path`, in [0, 1]."""
        if a is None or b is None:
            return float(a is b)
        if isinstance(a, bool) or isinstance(b, bool):
            return float(a is b)
        if isinstance(a, int | float) and isinstance(b, int | float):
            return float(_close(a, b, self._tolerance(path)))
        if isinstance(a, str) and isinstance(b, str):
            return self._texts(a, b)
        if isinstance(a, list) and isinstance(b, list):
            return self._sets(a, b) if self.options.lists_as_sets else self._lists(a, b, path)
        if isinstance(a, dict) and isinstance(b, dict):
            return self._objects(a, b, path)
        return 0.0

    def _texts(self, a: str, b: str) -> float:
        one, other = self._text(a), self._text(b)
        if one == other:
            return 1.0
        return self.text_score(one, other) if self.text_score else 0.0

    def _text(self, text: str) -> str:
        text = unicodedata.normalize("NFC", text)
        if self.options.ignore_whitespace:
            text = " ".join(text.split())
        # Folding can undo the composition, so compose again.
        return unicodedata.normalize("NFC", text.casefold()) if self.options.ignore_case else text

    def _lists(self, a: list[Any], b: list[Any], path: str) -> float:
        if not a and not b:
            return 1.0
        scores = (self.score(x, y, path) for x, y in zip(a, b, strict=False))
        return math.fsum(scores) / max(len(a), len(b))

    def _sets(self, a: list[Any], b: list[Any]) -> float:
        one, other = {self._key(item) for item in a}, {self._key(item) for item in b}
        return len(one & other) / len(one | other) if one or other else 1.0

    def _objects(self, a: dict[str, Any], b: dict[str, Any], path: str) -> float:
        keys = sorted(key for key in a.keys() | b.keys() if a.get(key) is not None or b.get(key) is not None)
        if not keys:
            return 1.0
        scores = (self.score(a.get(key), b.get(key), f"{path}.{key}" if path else key) for key in keys)
        return math.fsum(scores) / len(keys)

    def _key(self, value: Any) -> str:
        return json.dumps(self._canonical(value), sort_keys=True)

    def _canonical(self, value: Any) -> Any:
        match value:
            case str():
                return self._text(value)
            case float() if value.is_integer():
                return int(value)
            case list():
                return sorted({self._key(item) for item in value})
            case dict():
                return {key: self._canonical(item) for key, item in value.items() if item is not None}
        return value

    def _tolerance(self, path: str) -> float:
        tolerance = self.options.numeric_tolerance
        if not isinstance(tolerance, dict):
            return tolerance
        while path and path not in tolerance:
            path = path.rpartition(".")[0]
        return tolerance.get(path, 0.0)


def _close(a: float, b: float, tolerance: float) -> bool:
    if a == b:
        return True
    try:
        distance = abs(a - b)
    except OverflowError:  # an int beyond the floats against a float
        return False
    # 0.8 and 0.7 are 0.10000000000000009 apart: rounding must not decide what the tolerance means.
    return distance <= tolerance or (tolerance > 0 and math.isclose(distance, tolerance, rel_tol=1e-9))
