"""What an evaluator is, and which there are."""

from collections.abc import Callable
from typing import Any, Protocol

from apprentice.settings import TaskSettings


class EvaluatorError(Exception):
    """An evaluator cannot be built, or broke its contract. Says which one, and what to do."""


class Evaluator(Protocol):
    """Scores a local answer against the remote answer to the same request: 0 (nothing alike) to 1 (the same)."""

    def __call__(self, local: dict[str, Any], remote: dict[str, Any]) -> float: ...


Builder = Callable[[TaskSettings], Evaluator]
BUILDERS: dict[str, Builder] = {}


def evaluator(name: str) -> Callable[[Builder], Builder]:
    """Register a function that builds an evaluator from a task's settings under the name that YAML uses."""

    def register(builder: Builder) -> Builder:
        BUILDERS[name] = builder
        return builder

    return register


def build(settings: TaskSettings) -> Evaluator:
    """The evaluator that a task asks for. Raises EvaluatorError if there is none of that name, or it cannot start."""
    try:
        builder = BUILDERS[settings.evaluator]
    except KeyError:
        known = ", ".join(sorted(BUILDERS))
        raise EvaluatorError(f"{settings.name}: no evaluator {settings.evaluator!r}; there are {known}") from None
    return builder(settings)
