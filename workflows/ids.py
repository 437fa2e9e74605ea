"""Workflow ids. They are deterministic, so that nothing can be started twice."""

LIFECYCLE_PREFIX = "apprentice/"


def lifecycle_id(task: str) -> str:
    """Of the task's `TaskLifecycleWorkflow`."""
    return f"{LIFECYCLE_PREFIX}{task}"


def fine_tune_id(task: str, number: int) -> str:
    """Of the task's `number`th `FineTuneWorkflow`."""
    return f"{LIFECYCLE_PREFIX}{task}/fine-tune/{number}"


def batch_id(task: str, number: int) -> str:
    """Of the task's `number`th `BatchWorkflow`."""
    return f"{LIFECYCLE_PREFIX}{task}/batch/{number}"
