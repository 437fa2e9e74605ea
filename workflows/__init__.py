"""The durable shell: workflows that carry out what the core decides."""

from workflows.budget import BudgetWorkflow
from workflows.fine_tune import FineTuneWorkflow
from workflows.task_lifecycle import TaskLifecycleWorkflow

WORKFLOWS = [TaskLifecycleWorkflow, FineTuneWorkflow, BudgetWorkflow]

__all__ = ["WORKFLOWS", "BudgetWorkflow", "FineTuneWorkflow", "TaskLifecycleWorkflow"]
