"""Sentence embeddings, where the extra `semantic` is installed and `local.base_model` names a model of this machine.

Nothing is ever downloaded here: a training that fetches gigabytes unasked, or a worker that answers only with the
network up, would surprise. The model lies in a folder, or in the cache where its owner's command has put it.
"""

from collections import OrderedDict
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

LONGEST = 2_000
"""Characters of a text that are read; sentence models read a few hundred words at most."""
REMEMBERED = 20_000
"""Texts whose vectors are kept: a simulation trains ten times on texts that it has seen (some 30 MB)."""

type Vectors = npt.NDArray[np.float32]


class NoSentenceModel(ValueError):
    """The sentence model cannot be loaded. Says what to do."""


class SentenceModel:
    """Vectors of unit length. Each text is encoded once while it is remembered."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._known: OrderedDict[str, Vectors] = OrderedDict()

    def encode(self, texts: list[str]) -> Vectors:
        """Shape (len(texts), dimensions)."""
        cut = [text[:LONGEST] for text in texts]
        vectors = {text: self._known[text] for text in cut if text in self._known}
        new = [text for text in dict.fromkeys(cut) if text not in vectors]
        if new:
            found = self._model.encode(new, normalize_embeddings=True, show_progress_bar=False, convert_to_numpy=True)
            vectors |= dict(zip(new, np.asarray(found, np.float32), strict=True))
        self._known |= vectors
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return np.stack([vectors[text] for text in cut])


@lru_cache(maxsize=2)
def sentence_model(name: str) -> SentenceModel:
    """The model of that name or folder, loaded once a process. Raises NoSentenceModel."""
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        raise NoSentenceModel(
            "local.base_model names a sentence model, and sentence-transformers is not installed; install apprentice "
            "with the extra `semantic`, or leave local.base_model out"
        ) from error
    try:
        return SentenceModel(SentenceTransformer(name, device="cpu", local_files_only=True))
    except (OSError, ValueError, RuntimeError) as error:
        raise NoSentenceModel(
            f"the sentence model {name!r} (local.base_model) is not on this machine ({type(error).__name__}); download "
            "it first, for example with `hf download`, or give its folder"
        ) from error
