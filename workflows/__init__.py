"""The durable shell: workflows that carry out what the core decides."""

from workflows.fine_tune import FineTuneWorkflow
from workflows.task_lifecycle import TaskLifecycleWorkflow

WORKFLOWS = [TaskLifecycleWorkflow, FineTuneWorkflow]

__all__ = ["WORKFLOWS", "FineTuneWorkflow", "TaskLifecycleWorkflow"]
