"""Settling a call of unknown outcome: the journal first, then the brain."""

from temporalio import workflow
from temporalio.exceptions import ActivityError

from activities import contract
from apprentice.messages import Reconcile
from workflows import policies
from workflows.failures import named


async def reconcile(task: str, order: Reconcile) -> None:
    """Write down what the call has cost. Raises `ApplicationError` of type NoSuchCall or OutcomeKnown."""
    try:
        await workflow.execute_activity(
            contract.reconcile,
            args=[task, order],
            start_to_close_timeout=policies.PERSIST_TIMEOUT,
            retry_policy=policies.PERSIST,
            summary="a call in doubt",
        )
    except ActivityError as error:
        raise named(error) from None
