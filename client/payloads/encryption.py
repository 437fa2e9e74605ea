"""The codec: every payload encrypted as a whole, its metadata included. What was never encrypted passes as it is."""

from collections.abc import Sequence

from google.protobuf.message import DecodeError
from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadCodec

from client.payloads.keyring import CannotDecrypt, Keyring
from client.payloads.unreadable import unreadable

ENCODING = b"binary/encrypted"
KEY_ID = "encryption-key-id"
PURPOSE = b"apprentice/payload/1"
NO_KEY = (
    "it is encrypted and no key was given: set `temporal.encryption_key_env` in apprentice.yaml, and the environment "
    "variable that it names (a client passes config=, or sets APPRENTICE_CONFIG)"
)


class EncryptionCodec(PayloadCodec):
    """Without a keyring it encrypts nothing, and marks what is encrypted as unreadable."""

    def __init__(self, keyring: Keyring | None) -> None:
        self.keyring = keyring

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Encrypted, each as large as before plus about 100 bytes."""
        return [self._encrypt(payload) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """In the clear; a mark for what our keys do not open."""
        return [self._decrypt(payload) for payload in payloads]

    def _encrypt(self, payload: Payload) -> Payload:
        if self.keyring is None:
            return payload
        name, sealed = self.keyring.seal(payload.SerializeToString(), PURPOSE)
        return Payload(metadata={"encoding": ENCODING, KEY_ID: name.encode()}, data=sealed)

    def _decrypt(self, payload: Payload) -> Payload:
        if payload.metadata.get("encoding") != ENCODING:
            return payload
        if self.keyring is None:
            return unreadable(NO_KEY)
        name = payload.metadata.get(KEY_ID, b"").decode(errors="replace")
        try:
            return Payload.FromString(self.keyring.open(name, payload.data, PURPOSE))
        except (CannotDecrypt, DecodeError) as error:
            return unreadable(f"it cannot be decrypted: {error}")
