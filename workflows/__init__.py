"""The durable shell: workflows that carry out what the core decides."""

from workflows.batch import BatchWorkflow
from workflows.budget import BudgetWorkflow
from workflows.fine_tune import FineTuneWorkflow
from workflows.task_lifecycle import TaskLifecycleWorkflow

WORKFLOWS = [TaskLifecycleWorkflow, FineTuneWorkflow, BatchWorkflow, BudgetWorkflow]

__all__ = ["WORKFLOWS", "BatchWorkflow", "BudgetWorkflow", "FineTuneWorkflow", "TaskLifecycleWorkflow"]
