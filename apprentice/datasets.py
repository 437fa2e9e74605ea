"""Which part of the data set an input belongs to: decided by its content alone, for ever.

The split hashes the input's fingerprint (`apprentice.duplicates`) with the task's salt, so the same question lands in
the same part however often it is asked, in whatever spelling, and no state has to remember it. Up to 0.3 it hashed
`input_hash`; examples of that time keep their part, and what is too much like a hold-out one is not trained on.
"""

import hashlib
import json
import unicodedata
from typing import Any

from apprentice.messages import Split

_EXACT_FLOAT = 2**53


def normalise(value: object) -> str:
    """Canonical text of a JSON value: two inputs that mean the same give the same text.

    Keys are sorted; strings are in NFC with white space trimmed and collapsed, their case kept; `1.0` is `1`. The
    result is ASCII JSON, so it can be hashed on any platform. Raises TypeError if `value` is not JSON.
    """
    return json.dumps(_canonical(value), sort_keys=True, separators=(",", ":"))


def input_hash(input: dict[str, Any]) -> str:
    """SHA-256 of the normalised input, 64 hex digits."""
    return hashlib.sha256(normalise(input).encode("ascii")).hexdigest()


def split(fingerprint: str, salt: str, holdout_fraction: float) -> Split:
    """The part of the data set that an input belongs to.

    The salted hash is uniform in [0, 1); below `holdout_fraction` it is hold-out. A larger fraction only moves
    inputs out of training, never a hold-out input into it.
    """
    digest = hashlib.sha256(f"{salt}:{fingerprint}".encode()).digest()
    uniform = (int.from_bytes(digest[:8]) >> 11) / _EXACT_FLOAT
    return Split.HOLDOUT if uniform < holdout_fraction else Split.TRAIN


def _canonical(value: object) -> object:
    match value:
        case str():
            return _text(value)
        case dict():
            # Sorted first, so that of two keys with one canonical form the same one always wins.
            return {_text(str(key)): _canonical(value[key]) for key in sorted(value, key=str)}
        case list() | tuple():
            return [_canonical(item) for item in value]
        case float() if value.is_integer() and abs(value) < _EXACT_FLOAT:
            return int(value)
    return value


def _text(value: str) -> str:
    return unicodedata.normalize("NFC", " ".join(unicodedata.normalize("NFC", value).split()))
