"""`structured_match`: field by field, weighted."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from apprentice.evaluators.comparison import Comparison
from apprentice.evaluators.registry import Evaluator, evaluator
from apprentice.settings import TaskSettings


@dataclass(frozen=True)
class FieldMatch:
    """Weighted mean of the agreement of each field; fields are dotted paths with their weights, not empty."""

    fields: Sequence[tuple[str, float]]
    comparison: Comparison

    def __call__(self, local: dict[str, Any], remote: dict[str, Any]) -> float:
        scores = [
            weight * self.comparison.score(value_at(local, path), value_at(remote, path), path)
            for path, weight in self.fields
        ]
        return min(1.0, math.fsum(scores) / math.fsum(weight for _, weight in self.fields))


@evaluator("structured_match")
def structured_match(settings: TaskSettings) -> Evaluator:
    """Compares `match_fields` (without any: all fields of `output_schema`) by the rules of `comparison`.

    A field may be dotted (`address.city`); whatever is missing on the way to it counts as null, and null on both
    sides agrees. `weights` says how much each field counts, 1 unless said.
    """
    return FieldMatch(weighted_fields(settings), Comparison(settings.evaluator_options))


def weighted_fields(settings: TaskSettings) -> list[tuple[str, float]]:
    """The fields that a task compares, with their weights."""
    fields = settings.match_fields or [name.removesuffix("?") for name in settings.output_schema]
    return [(name, settings.evaluator_options.weights.get(name, 1.0)) for name in fields]


def value_at(value: Any, path: str) -> Any:
    """The value at a dotted path, None if there is none."""
    for part in path.split("."):
        if not isinstance(value, dict):
            return None
        value = value.get(part)
    return value
