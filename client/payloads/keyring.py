"""AES-256-GCM with named keys: the first one encrypts, all of them decrypt."""

import os
from collections.abc import Mapping
from typing import Self

from apprentice.encryption_keys import read_keys
from client.errors import ApprenticeError

NONCE_BYTES = 12


class NoCipher(ApprenticeError):
    """The package that encrypts is not installed."""


class CannotDecrypt(Exception):
    """The key is not ours, or these are not the bytes that were encrypted with it."""


class Keyring:
    """Seals bytes for one purpose; what was sealed for another purpose does not open."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        """`keys`: id -> 32 bytes, the encrypting one first. Raises NoCipher."""
        try:
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        except ImportError:
            raise NoCipher(
                "`temporal.encryption_key_env` needs the extra `encryption`: pip install 'apprentice[encryption]'"
            ) from None
        self._ciphers = {name: AESGCM(key) for name, key in keys.items()}
        self._first = next(iter(keys))

    @classmethod
    def read(cls, text: str) -> Self:
        """From the text of the environment variable. Raises KeyTextError, NoCipher."""
        return cls(read_keys(text))

    def seal(self, plain: bytes, purpose: bytes) -> tuple[str, bytes]:
        """The key's id, and nonce + ciphertext + tag: 28 bytes longer than `plain`.

        Nonces are random: a key is good for some 4 billion payloads; rotate it well before.
        """
        nonce = os.urandom(NONCE_BYTES)
        return self._first, nonce + self._ciphers[self._first].encrypt(nonce, plain, _bound(self._first, purpose))

    def open(self, name: str, sealed: bytes, purpose: bytes) -> bytes:
        """What was sealed. Raises CannotDecrypt."""
        from cryptography.exceptions import InvalidTag

        if name not in self._ciphers:
            raise CannotDecrypt(f"the key {name[:12]!r} is not among ours ({', '.join(self._ciphers)})")
        try:
            nonce, text = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
            return self._ciphers[name].decrypt(nonce, text, _bound(name, purpose))
        except (InvalidTag, ValueError):
            raise CannotDecrypt("it was changed, or encrypted for something else") from None


def _bound(name: str, purpose: bytes) -> bytes:
    return purpose + b"\0" + name.encode()
