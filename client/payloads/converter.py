"""The data converter of a configuration."""

from collections.abc import Mapping
from pathlib import Path

from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    DataConverter,
    DefaultFailureConverter,
    DefaultFailureConverterWithEncodedAttributes,
    StorageDriver,
    StorageDriverSelectContext,
)

from apprentice.settings import TemporalSettings
from client.payloads.blobs import Blobs
from client.payloads.bucket import BucketBlobs
from client.payloads.encryption import EncryptionCodec
from client.payloads.folder import FolderBlobs
from client.payloads.keyring import Keyring
from client.payloads.storage import PayloadStore, Storage
from client.payloads.unreadable import PayloadValues
from workflows.burst import BY_REFERENCE, LARGEST_INPUT


def converter_of(settings: TemporalSettings, environ: Mapping[str, str]) -> DataConverter:
    """Encrypts if `encryption_key_env` is set; stores what is `BY_REFERENCE` or larger in `payload_storage`.

    Raises KeyTextError, NoCipher, NoBucket. `environ` has been checked by `apprentice.config`.
    """
    name = settings.encryption_key_env
    return _converter(Keyring.read(environ[name]) if name else None, blobs_of(settings), settings.max_payload)


def blobs_of(settings: TemporalSettings) -> Blobs:
    """Where the configuration stores payloads. Raises NoBucket."""
    place = settings.payload_storage.removeprefix("file://")
    if place.startswith("s3://"):
        return BucketBlobs.open(place, settings.payload_endpoint)
    return FolderBlobs(Path(place))


def largest_request(converter: DataConverter) -> int:
    """In bytes, as JSON; without storage what every server takes in a payload."""
    return next((driver.largest for driver in _drivers(converter)), LARGEST_INPUT)


def store_of(converter: DataConverter) -> PayloadStore | None:
    """The store of a converter of ours."""
    return next(iter(_drivers(converter)), None)


def _drivers(converter: DataConverter) -> list[PayloadStore]:
    drivers = converter.external_storage.drivers if converter.external_storage else ()
    return [driver for driver in drivers if isinstance(driver, PayloadStore)]


def _converter(keyring: Keyring | None, blobs: Blobs | None, largest: int) -> DataConverter:
    store = PayloadStore(blobs, keyring, largest)

    def select(context: StorageDriverSelectContext, payload: Payload) -> StorageDriver | None:
        return store if blobs is not None else None

    return DataConverter(
        payload_converter_class=PayloadValues,
        payload_codec=EncryptionCodec(keyring),
        # Messages and stack traces can quote an input.
        failure_converter_class=DefaultFailureConverterWithEncodedAttributes if keyring else DefaultFailureConverter,
        external_storage=Storage(drivers=[store], driver_selector=select, payload_size_threshold=BY_REFERENCE),
    )


NO_SETTINGS = _converter(None, None, LARGEST_INPUT)
"""Of a client without a configuration: small payloads in the clear, and named errors for what it cannot read."""
