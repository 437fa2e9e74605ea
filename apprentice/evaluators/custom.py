"""`custom`: a function of the user's."""

import importlib
import math
import re
from collections.abc import Callable
from typing import Any

from apprentice.evaluators.registry import Evaluator, EvaluatorError, evaluator
from apprentice.settings import TaskSettings

PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


@evaluator("custom")
def custom(settings: TaskSettings) -> Evaluator:
    """Calls `evaluator_options.path`, a `package.module:function` of (local output, remote output) giving 0..1.

    It should be deterministic and free of side effects: it may run again for the same answers. The returned
    evaluator raises EvaluatorError if the function raises, or gives anything but a number in [0, 1].
    """
    path = settings.evaluator_options.path or ""
    function = _load(path)

    def score(local: dict[str, Any], remote: dict[str, Any]) -> float:
        try:
            result = function(local, remote)
        except Exception as error:
            # Only its type: the message may quote the answers.
            raise EvaluatorError(f"custom evaluator {path} raised {type(error).__name__}") from error
        return _checked(result, path)

    return score


def _load(path: str) -> Callable[[dict[str, Any], dict[str, Any]], object]:
    if not PATH.fullmatch(path):
        raise EvaluatorError(f"evaluator_options.path must be `package.module:function`, got {path[:80]!r}")
    module, _, name = path.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except ImportError as error:
        raise EvaluatorError(f"custom evaluator {path}: cannot import it ({error}); is it on PYTHONPATH?") from error
    except AttributeError as error:
        raise EvaluatorError(f"custom evaluator {path}: {module} has no {name}") from error
    except Exception as error:
        raise EvaluatorError(f"custom evaluator {path}: importing it raised {type(error).__name__}") from error
    if not callable(found):
        raise EvaluatorError(f"custom evaluator {path} is not callable, but a {type(found).__name__}")
    return found  # type: ignore[no-any-return]


def _checked(result: object, path: str) -> float:
    try:
        score = float(result)  # type: ignore[arg-type]  # numpy scalars and booleans are fine
    except (TypeError, ValueError, OverflowError):
        score = math.nan
    if isinstance(result, str) or not 0.0 <= score <= 1.0:
        shown = repr(result)[:40] if isinstance(result, int | float) else type(result).__name__
        raise EvaluatorError(f"custom evaluator {path} must return a number from 0 to 1, returned {shown}")
    return score
