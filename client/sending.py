"""Sending to a workflow until it is answered, or refused for good; refusals by their public names."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime

from temporalio.api.errordetails.v1 import WorkflowNotReadyFailure
from temporalio.client import WorkflowUpdateFailedError, WorkflowUpdateRPCTimeoutOrCancelledError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from client import errors

# The SDK's words for an error whose message it could not decode.
ENCODED_FAILURE = "Encoded failure"
FIRST_PAUSE, LONGEST_PAUSE = 0.02, 0.25
# Refusals that pass by themselves: the workflow rolls over, or an update was cut off while it did.
PASSING = {"RollingOver", "AcceptedUpdateCompletedWorkflow"}
# UNKNOWN: the connection broke in the midst of a call ("transport error"), as with a server that is killed.
UNREACHABLE = {
    RPCStatusCode.UNAVAILABLE,
    RPCStatusCode.RESOURCE_EXHAUSTED,
    RPCStatusCode.DEADLINE_EXCEEDED,
    RPCStatusCode.UNKNOWN,
}


def no_task(task: str) -> errors.UnknownTask:
    """No workflow of this task runs."""
    return errors.UnknownTask(
        f"task {task!r} is not running; see `apprentice status`, or start it with `apprentice apply`"
    )


def no_budget() -> errors.NoBudget:
    """No budget for all tasks runs."""
    return errors.NoBudget(
        "no budget for all tasks is running: set a cap under `budget` at the top level of apprentice.yaml, then "
        "`apprentice apply`"
    )


def checked(check: Callable[[], None]) -> None:
    """Make a workflow's own check before anything is sent. Raises OrderRefused."""
    try:
        check()
    except ApplicationError as error:
        raise named(error) from None


async def resend[T](send: Callable[[], Awaitable[T]], missing: errors.ApprenticeError) -> T:
    """Send until it is answered or refused for good; only the caller's deadline ends the waiting.

    `missing` is the error for a workflow that does not run.
    """
    pause = FIRST_PAUSE
    while True:
        try:
            return await send()
        except WorkflowUpdateFailedError as error:
            cause = error.cause
            if not (isinstance(cause, ApplicationError) and cause.type in PASSING):
                raise named(cause) from None
        except WorkflowUpdateRPCTimeoutOrCancelledError as error:
            if isinstance(error.__cause__, asyncio.CancelledError):
                raise error.__cause__ from None
            # The server cut a long poll short; the update itself goes on under its id.
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                raise missing from None
            if error.status not in UNREACHABLE and not _is_not_ready(error):
                raise errors.ApprenticeError(f"the Temporal server refused: {error.message}") from error
        await asyncio.sleep(pause)
        pause = min(LONGEST_PAUSE, pause * 2)


def _is_not_ready(error: RPCError) -> bool:
    """Whether the server took nothing in, as no worker could get on with the workflow: it replays too slowly, say."""
    return any(detail.Is(WorkflowNotReadyFailure.DESCRIPTOR) for detail in error.grpc_status.details)


def named(cause: BaseException) -> errors.ApprenticeError:
    """The public error for a failed update."""
    if not isinstance(cause, ApplicationError):
        return errors.RequestFailed(type(cause).__name__, str(cause))
    if why := _unreadable(cause):
        return why
    match cause.type:
        case "InvalidInput":
            return errors.InvalidInput(cause.message)
        case "InvalidLabel":
            return errors.InvalidLabel(cause.message)
        case "SchemaChanged" | "SettingsRefused" | "NoSuchCall" | "OutcomeKnown" | "NoBatches":
            return errors.OrderRefused(cause.message)
        case "NoSuchVersion" | "RollbackFailed":
            return errors.OrderRefused(cause.message)
        case "BudgetExhausted":
            resets = cause.details[0] if cause.details else None
            return errors.BudgetExhausted(cause.message, datetime.fromisoformat(resets) if resets else None)
        case kind:
            return errors.RequestFailed(kind or "ApplicationError", cause.message)


def _unreadable(cause: ApplicationError) -> errors.PayloadUnreadable | None:
    """The worker could not read what we sent (Temporal wraps its error), or we cannot read its error."""
    if cause.message == ENCODED_FAILURE:
        return errors.PayloadUnreadable("the task's answer cannot be decrypted with our keys; are they the worker's?")
    inner = cause.__cause__
    if isinstance(inner, ApplicationError) and inner.type == "PayloadUnreadable":
        return errors.PayloadUnreadable(inner.message.removeprefix("a payload cannot be read: "))
    return None
