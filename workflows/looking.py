"""Looking at a workflow by an update that is always refused, with what was asked for in the refusal.

That costs no history, like a query. But a query that waits while a worker is killed can reach the next worker before
the workflow task does; the SDK (1.35) then runs ahead of what is recorded, and what it records next does not replay:
the workflow stands still for good.
"""

from collections.abc import Awaitable
from typing import Any, Literal, NoReturn

from temporalio.client import WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

# The type of the refusal that is no error.
SEEN = "Seen"
View = Literal["status", "history"]


def show(view: View, seen: object) -> NoReturn:
    """What a validator does to show something. Raises `ApplicationError` of type Seen."""
    raise ApplicationError(view, seen, type=SEEN, non_retryable=True)


async def shown(update: Awaitable[object]) -> Any:
    """What an update showed, as JSON. Raises what else went wrong."""
    try:
        return await update
    except WorkflowUpdateFailedError as error:
        if isinstance(error.cause, ApplicationError) and error.cause.type == SEEN:
            return error.cause.details[0]
        raise
