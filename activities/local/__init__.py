"""Local models: the students that take over from the remote model."""

from activities.local.model import (
    BadAnswer,
    LocalError,
    LocalModel,
    ModelUnavailable,
    ServerBusy,
    ServerDown,
    version_dir,
)

__all__ = [
    "BadAnswer",
    "LocalError",
    "LocalModel",
    "ModelUnavailable",
    "ServerBusy",
    "ServerDown",
    "version_dir",
]
