"""`exact_match`: all or nothing."""

from typing import Any

from apprentice.evaluators.comparison import Comparison
from apprentice.evaluators.registry import Evaluator, evaluator
from apprentice.settings import TaskSettings


@evaluator("exact_match")
def exact_match(settings: TaskSettings) -> Evaluator:
    """1 if the whole outputs are equal, else 0.

    Equal is what `comparison` scores 1 without any tolerance and with lists in order: `ignore_case` and
    `ignore_whitespace` (on unless switched off) apply to text, `1` is `1.0`, a missing field is null.
    """
    options = settings.evaluator_options.model_copy(update={"numeric_tolerance": 0.0, "lists_as_sets": False})
    comparison = Comparison(options)

    def score(local: dict[str, Any], remote: dict[str, Any]) -> float:
        return float(comparison.score(local, remote) == 1.0)

    return score
