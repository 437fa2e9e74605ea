"""`semantic_similarity`: texts that mean the same agree, by sentence embeddings."""

import importlib.util
import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Protocol, cast

from apprentice.evaluators.comparison import Comparison, TextScore
from apprentice.evaluators.registry import Evaluator, EvaluatorError, evaluator
from apprentice.evaluators.structured_match import FieldMatch, weighted_fields
from apprentice.settings import TaskSettings


class Encoder(Protocol):
    """Texts to vectors: shape (number of texts, dimensions). What sentence-transformers' models are."""

    def encode(self, sentences: list[str]) -> Sequence[Sequence[float]]: ...


@evaluator("semantic_similarity")
def semantic_similarity(settings: TaskSettings) -> Evaluator:
    """`structured_match`, except that texts which are not equal score their similarity instead of 0.

    The similarity is the cosine of their embeddings, with everything below 0 as 0: unrelated texts have a cosine
    near 0, so mapping [-1, 1] onto [0, 1] would call them half right. The model is `evaluator_options.model`,
    loaded when first needed and once for each process. Raises EvaluatorError without the extra `semantic`.
    """
    if importlib.util.find_spec("sentence_transformers") is None:
        raise EvaluatorError(
            f"{settings.name}: semantic_similarity needs sentence-transformers: pip install 'apprentice[semantic]'"
        )
    return with_encoder(settings, lambda: load_encoder(settings.evaluator_options.model))


def with_encoder(settings: TaskSettings, load: Callable[[], Encoder]) -> Evaluator:
    """The same evaluator with an encoder of one's own; `load` is called whenever two texts need comparing."""
    return FieldMatch(weighted_fields(settings), Comparison(settings.evaluator_options, _cosine(load)))


@lru_cache(maxsize=4)
def load_encoder(model: str) -> Encoder:
    """A sentence-transformers model by name or folder. Raises EvaluatorError if it cannot be loaded."""
    try:
        from sentence_transformers import SentenceTransformer

        return cast(Encoder, SentenceTransformer(model))
    except Exception as error:
        raise EvaluatorError(
            f"cannot load the sentence-transformers model {model!r}: {type(error).__name__}"
        ) from error


def _cosine(load: Callable[[], Encoder]) -> TextScore:
    def score(a: str, b: str) -> float:
        one, other = ([float(x) for x in vector] for vector in load().encode([a, b]))
        norms = math.sqrt(math.sumprod(one, one) * math.sumprod(other, other))
        cosine = math.sumprod(one, other) / norms if norms > 0 else 0.0
        return min(1.0, max(0.0, cosine))

    return score
