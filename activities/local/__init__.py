"""Local models: the students that take over from the remote model."""

from activities.local.model import LocalModel, ModelUnavailable, version_dir

__all__ = ["LocalModel", "ModelUnavailable", "version_dir"]
