"""Large payloads by reference, on the SDK's external storage: what is stored has already been encrypted.

A reference says where the bytes are, and their hash; with encryption on it is sealed as well, so that nobody who can
write to Temporal learns or makes up one. A name is `namespace/workflow/sha256`: what belongs to a workflow can be found
(and swept) with it, and equal bytes are stored once.
"""

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from google.protobuf.message import DecodeError
from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    ExternalStorage,
    StorageDriver,
    StorageDriverClaim,
    StorageDriverRetrieveContext,
    StorageDriverStoreContext,
)

from client.payloads.blobs import Blobs
from client.payloads.keyring import CannotDecrypt, Keyring
from client.payloads.unreadable import unreadable

DRIVER = "apprentice"
PURPOSE = b"apprentice/reference/1"
NAME = re.compile(r"[\w%~-]{1,200}/[\w%~-]{1,200}/[0-9a-f]{64}", re.ASCII)
LONGEST_PART = 200
HASHED = "~"


class Storage(ExternalStorage):
    """The SDK's external storage, for which a malformed reference is no reference.

    The SDK raises for one before the driver sees it, and with that holds up the workflow that it was sent to.
    """

    def _decode_reference(self, payload: Payload) -> Any:
        try:
            found = super()._decode_reference(payload)
        except Exception:
            return None
        return found if found is not None and found.driver_name == DRIVER else None


class PayloadStore(StorageDriver):
    """Stores payloads as blobs. Without blobs it stores none, and marks what was stored as unreadable."""

    def __init__(self, blobs: Blobs | None, keyring: Keyring | None, largest: int) -> None:
        """`largest`: of a request, in bytes."""
        self.blobs, self.keyring, self.largest = blobs, keyring, largest

    def name(self) -> str:
        """See base class."""
        return DRIVER

    def type(self) -> str:
        """See base class."""
        return "apprentice.payloads"

    async def store(self, context: StorageDriverStoreContext, payloads: Sequence[Payload]) -> list[StorageDriverClaim]:
        """References to the payloads, which are on disk by then. An error of the storage is raised: it is retried."""
        assert self.blobs is not None, "nothing is selected for storing without blobs"
        folder = folder_of(context.target.namespace, context.target.id or "") if context.target else "none/none"
        claims = []
        for payload in payloads:
            data = payload.SerializeToString()
            name = f"{folder}/{hashlib.sha256(data).hexdigest()}"
            await self.blobs.put(name, data)
            claims.append(StorageDriverClaim(claim_data=self._seal({"name": name})))
        return claims

    async def retrieve(
        self, context: StorageDriverRetrieveContext, claims: Sequence[StorageDriverClaim]
    ) -> list[Payload]:
        """The payloads; a mark for each that is not there. An error of the storage is raised: it is retried."""
        return [await self._retrieve(dict(claim.claim_data)) for claim in claims]

    async def _retrieve(self, claim: dict[str, str]) -> Payload:
        if self.blobs is None:
            return unreadable(
                "it is kept outside Temporal: pass the configuration that names the storage "
                "(a client passes config=, or sets APPRENTICE_CONFIG)"
            )
        try:
            name = self._open(claim).get("name", "")
        except (CannotDecrypt, ValueError) as error:
            return unreadable(f"its reference cannot be read: {error}")
        if not NAME.fullmatch(name):
            return unreadable("its reference is malformed")
        data = await self.blobs.get(name)
        if data is None:
            return unreadable(
                "it is not in `temporal.payload_storage`: clients and workers on several machines need a shared one"
            )
        if hashlib.sha256(data).hexdigest() != name[-64:]:
            return unreadable("what is stored for it was changed")
        try:
            return Payload.FromString(data)
        except DecodeError:
            return unreadable("what is stored for it is no payload")

    def _seal(self, claim: dict[str, str]) -> dict[str, str]:
        if self.keyring is None:
            return claim
        key, sealed = self.keyring.seal(json.dumps(claim).encode(), PURPOSE)
        return {"key": key, "sealed": base64.b64encode(sealed).decode()}

    def _open(self, claim: dict[str, str]) -> dict[str, str]:
        """Raises CannotDecrypt, ValueError. References from before encryption was switched on are read as they are."""
        if "sealed" not in claim:
            return claim
        if self.keyring is None:
            raise CannotDecrypt("it is encrypted and no key was given")
        try:
            sealed = base64.b64decode(claim["sealed"], validate=True)
        except binascii.Error as error:
            raise ValueError(str(error)) from None
        opened = json.loads(self.keyring.open(claim.get("key", ""), sealed, PURPOSE))
        return opened if isinstance(opened, dict) else {}


def folder_of(namespace: str, workflow_id: str) -> str:
    """Where the payloads of a workflow lie."""
    return f"{part_of(namespace)}/{part_of(workflow_id)}"


def part_of(name: str) -> str:
    """A name as a part of a path: never empty, never `.` or `..`, never too long."""
    part = quote(name, safe="").replace(".", "%2E") or "none"
    return part if len(part) <= LONGEST_PART else HASHED + hashlib.sha256(name.encode()).hexdigest()
