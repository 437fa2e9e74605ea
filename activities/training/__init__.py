"""Training runners: where and how a new version of the local model is trained."""

from activities.training.runner import TrainingLost, TrainingRunner

__all__ = ["TrainingLost", "TrainingRunner"]
