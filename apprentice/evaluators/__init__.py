"""How a local answer is scored against the remote one. `build` gives the evaluator that a task's settings name."""

from apprentice.evaluators import custom, exact_match, semantic_similarity, structured_match
from apprentice.evaluators.registry import BUILDERS, Evaluator, EvaluatorError, build, evaluator

__all__ = [
    "BUILDERS",
    "Evaluator",
    "EvaluatorError",
    "build",
    "custom",
    "evaluator",
    "exact_match",
    "semantic_similarity",
    "structured_match",
]
