"""Payloads that cannot be read here: they become an error where they are used, not where they arrive.

An error on arrival fails the whole workflow task, again and again: one update from a client with a wrong key would hold
up everybody. So decoding leaves a mark instead, and the mark raises when it is turned into a value: an update is
refused by name, a signal is dropped, a query fails for its caller. A start or an activity's result raises in the
workflow task, which is retried until a worker comes that can read it; nothing fails for good.
"""

from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.contrib.pydantic import PydanticJSONPlainPayloadConverter
from temporalio.converter import (
    CompositePayloadConverter,
    DefaultPayloadConverter,
    EncodingPayloadConverter,
    JSONPlainPayloadConverter,
)

from client.errors import PayloadUnreadable

UNREADABLE = "apprentice/unreadable"


def unreadable(why: str) -> Payload:
    """The mark."""
    return Payload(metadata={"encoding": UNREADABLE.encode()}, data=why.encode())


class UnreadableConverter(EncodingPayloadConverter):
    """Raises PayloadUnreadable for a mark."""

    @property
    def encoding(self) -> str:
        """See base class."""
        return UNREADABLE

    def to_payload(self, value: Any) -> Payload | None:
        """Never: no value is turned into a mark."""
        return None

    def from_payload(self, payload: Payload, type_hint: type | None = None) -> Any:
        """Raises PayloadUnreadable."""
        # Not a FailureError of Temporal's: one of those would end a workflow that cannot read its own input.
        raise PayloadUnreadable(payload.data.decode(errors="replace"))


class PayloadValues(CompositePayloadConverter):
    """Pydantic's JSON, and marks."""

    def __init__(self) -> None:
        json = PydanticJSONPlainPayloadConverter()
        defaults = DefaultPayloadConverter.default_encoding_payload_converters
        ours = (json if isinstance(one, JSONPlainPayloadConverter) else one for one in defaults)
        super().__init__(UnreadableConverter(), *ours)
