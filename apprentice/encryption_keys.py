"""The text of an environment variable -> the keys that payloads are encrypted with.

One key is 32 random bytes in base64. Several, separated by commas, are for rotation: the first encrypts, all decrypt.

    python -c "import base64, os; print(base64.b64encode(os.urandom(32)).decode())"
"""

import base64
import binascii
import hashlib

KEY_BYTES = 32
HOW = 'python -c "import base64, os; print(base64.b64encode(os.urandom(32)).decode())" makes one'


class KeyTextError(ValueError):
    """The text holds no usable keys. The message quotes none of it."""


def read_keys(text: str) -> dict[str, bytes]:
    """Key id -> key, the encrypting one first. Raises KeyTextError."""
    keys: dict[str, bytes] = {}
    for number, part in enumerate(text.split(","), start=1):
        try:
            key = base64.b64decode(part.strip().replace("-", "+").replace("_", "/"), validate=True)
        except (binascii.Error, ValueError):
            raise KeyTextError(f"key {number} is not base64; {HOW}") from None
        if len(key) != KEY_BYTES:
            raise KeyTextError(f"key {number} has {len(key)} bytes, not {KEY_BYTES}; {HOW}")
        keys[key_id(key)] = key
    return keys


def key_id(key: bytes) -> str:
    """Names a key without telling anything about it: 12 hex digits."""
    return hashlib.sha256(b"apprentice key id\0" + key).hexdigest()[:12]
