"""From a prompt to an answer, for models that write text: its JSON, its price and its confidence."""

import json
import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from activities.local.model import BadAnswer
from apprentice.messages import Answer, Source
from apprentice.schema import SchemaError, compile_schema
from apprentice.settings import LocalSettings, TaskSettings

COST_DIGITS = Decimal("0.000000001")


class Completion(NamedTuple):
    """What a server says that its model wrote. `seconds` is the model's own time; `log_probabilities` of each token."""

    text: str
    model: str
    seconds: float
    cut_off: bool = False
    input_tokens: int = 0
    output_tokens: int = 0
    log_probabilities: Sequence[float] | None = None


def schema_of(settings: TaskSettings) -> dict[str, Any]:
    """The JSON Schema that the server is to keep the model to."""
    return compile_schema(settings.output_schema, settings.name).json_schema()


def to_answer(settings: TaskSettings, version: int, completion: Completion) -> Answer:
    """The answer, its output checked. Raises BadAnswer, which quotes nothing of it."""
    return Answer(
        source=Source.LOCAL,
        output=read(settings, completion),
        model=completion.model,
        version=version,
        confidence=confidence(completion.log_probabilities),
        cost=cost(settings.local, completion.seconds),
        input_tokens=completion.input_tokens,
        output_tokens=completion.output_tokens,
        latency_seconds=completion.seconds,
    )


def read(settings: TaskSettings, completion: Completion) -> dict[str, Any]:
    """The output that the text holds. Constrained decoding is a promise of the server's: here it is checked.

    Raises BadAnswer.
    """
    who = f"{settings.name}: the local model {completion.model}"
    if completion.cut_off:
        limit = settings.local.max_output_tokens
        raise BadAnswer(f"{who} was cut off; the limit is local.max_output_tokens, {limit}")
    try:
        value = json.loads(completion.text)
    except (ValueError, RecursionError):
        raise BadAnswer(f"{who} wrote what is not JSON") from None
    try:
        return compile_schema(settings.output_schema, settings.name).validate(value)
    except SchemaError as error:
        raise BadAnswer(f"{who} wrote what does not fit the output schema: {error}") from None


def confidence(log_probabilities: Sequence[float] | None) -> float | None:
    """The geometric mean of the tokens' probabilities, in [0, 1]; None without them.

    It is not calibrated: an answer's certain punctuation counts as much as its one telling word. Deferral needs only
    the order of answers by it, and measures how much each is worth (`apprentice.deferral`).
    """
    if not log_probabilities:
        return None
    mean = sum(log_probabilities) / len(log_probabilities)
    return min(1.0, math.exp(mean)) if math.isfinite(mean) else None


def cost(settings: LocalSettings, seconds: float) -> Decimal:
    """What the server costs in that time, at `local.cost_per_hour`. Not a price: no cap counts it."""
    return (Decimal(str(seconds)) * settings.cost_per_hour / 3600).quantize(COST_DIGITS)
