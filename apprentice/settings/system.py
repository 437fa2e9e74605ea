"""Where things are kept and who is told: the store, alerts, Temporal."""

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from apprentice.settings.base import Duration, RequestBytes, Settings


class StoreSettings(Settings):
    """Where examples, the journal of paid calls and comparisons are kept."""

    url: str = Field(
        "sqlite:///apprentice.db",
        description="sqlite:///FILE, relative to apprentice.yaml, or postgresql://USER@HOST/DATABASE (extra "
        "`postgres`; PGPASSWORD or ~/.pgpass can hold the password)",
    )
    retention: Annotated[Duration, Field(ge=timedelta(days=1))] | None = Field(
        None,
        description="how long answered calls and comparisons are kept, at least 1d; None is for ever. A forgotten "
        "request id is a new request. Examples, and calls whose outcome is unknown, are always kept",
    )


class AlertSettings(Settings):
    """Who is told about quality, budget and training trouble, besides `status` and the Web UI."""

    webhook_env: str | None = Field(
        None, description="name of the environment variable that holds a URL to POST alerts to"
    )


class TemporalSettings(Settings):
    """Where our workflows run. The connection comes from TEMPORAL_ADDRESS and the other standard settings."""

    task_queue: str = Field("apprentice", min_length=1)
    encryption_key_env: str | None = Field(
        None, description="name of the environment variable that holds the keys: inputs and outputs are encrypted"
    )
    codec_token_env: str | None = Field(
        None, description="name of the environment variable that holds the password of `apprentice codec-server`"
    )
    payload_storage: str = Field(
        ".apprentice/payloads",
        min_length=1,
        description="where large inputs and outputs are kept: a folder (relative to apprentice.yaml), or "
        "s3://bucket/prefix; every client and worker has to reach it",
    )
    payload_endpoint: str | None = Field(
        None, pattern=r"^https?://\S+$", description="of an S3-compatible service; None is AWS itself"
    )
    payload_retention: Duration = Field(
        timedelta(days=30), description="kept at least this long, and as long as a workflow run may need it"
    )
    max_payload: RequestBytes = Field(1024 * 1024, description="the largest request, in bytes (512KiB, 1MiB)")
