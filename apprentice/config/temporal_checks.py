"""What has to be true of the block `temporal`: its variables are set, its keys are keys, its storage is one we know."""

from collections.abc import Mapping

from apprentice.config.surroundings import Found, variable
from apprentice.encryption_keys import KeyTextError, read_keys
from apprentice.settings import TemporalSettings

SHORTEST_TOKEN = 16


def check_temporal(settings: TemporalSettings, environ: Mapping[str, str]) -> Found:
    """All problems, by path below `temporal`."""
    yield from _keys(settings, environ)
    yield from _token(settings, environ)
    yield from _storage(settings)


def _keys(settings: TemporalSettings, environ: Mapping[str, str]) -> Found:
    name = settings.encryption_key_env
    missing = list(variable(name, ("encryption_key_env",), environ))
    yield from missing
    if name and not missing:
        try:
            read_keys(environ[name])
        except KeyTextError as error:
            yield ("encryption_key_env",), f"the environment variable named here holds no usable key: {error}"


def _token(settings: TemporalSettings, environ: Mapping[str, str]) -> Found:
    name = settings.codec_token_env
    missing = list(variable(name, ("codec_token_env",), environ))
    yield from missing
    if name and not missing and len(environ[name].strip()) < SHORTEST_TOKEN:
        yield ("codec_token_env",), f"the token must have at least {SHORTEST_TOKEN} characters"


def _storage(settings: TemporalSettings) -> Found:
    scheme, separator, rest = settings.payload_storage.partition("://")
    if separator and scheme not in ("file", "s3"):
        yield (
            ("payload_storage",),
            f"unknown storage {scheme[:20]!r}: use a folder, file:///folder or s3://bucket/prefix",
        )
    if scheme == "s3" and separator and not rest.split("/")[0]:
        yield ("payload_storage",), "names no bucket; write s3://bucket/prefix"
    if settings.payload_endpoint and scheme != "s3":
        yield ("payload_endpoint",), "has no effect on a folder; it belongs to s3://bucket/prefix"
