"""What every paid call has in common: its key, the words for its failure, and that its outcome is written down."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from datetime import timedelta
from decimal import Decimal

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities import contract
from activities.remote.errors import CircuitOpen, RateLimited, RemoteError
from activities.store import Intent, RequestIdReused, StoreError
from apprentice import teachers
from apprentice.messages import Source, Trouble
from apprentice.settings import ProviderSettings

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 1.0


def call_key(task: str, request_id: str, provider: ProviderSettings) -> str:
    """The idempotency key of a request's call to one provider: 64 hex digits.

    Providers limit the length of a key, and an id may say something about its request: so a hash of it.
    """
    parts = (task, request_id, Source.REMOTE, teachers.account(provider))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


async def outlast[T](write: Callable[[], Awaitable[T]]) -> T:
    """Write what became of a call, however long the store is away; the end of this attempt ends the waiting.

    Unwritten, the call would be one in doubt: its answer lost, and its price, if it had any, counted at the most.
    """
    pause = FIRST_PAUSE
    while True:
        try:
            return await write()
        except RequestIdReused:
            raise
        except StoreError as error:
            activity.logger.warning("the outcome of a paid call waits for the store: %s", error)
        await asyncio.sleep(pause)
        pause = min(LONGEST_PAUSE, pause * 2)


def trouble(provider: ProviderSettings, error: RemoteError) -> Trouble:
    """What to tell of a provider that could not answer."""
    return Trouble(provider=provider.provider, model=provider.model, error=type(error).__name__, message=str(error))


def failure(error: RemoteError, charged: Decimal, troubles: list[Trouble]) -> ApplicationError:
    """The error in Temporal's words. `charged` is the most that the request's calls may have cost so far."""
    if not charged:
        activity.heartbeat(activity.info().attempt)  # for the next attempt: see `not_begun`
    # A breaker's pause is for the provider, not for a caller to sit through: the activity's own retries are sooner.
    wait = None if isinstance(error, CircuitOpen) else error.retry_after
    # Where a call may wait for its turn, Temporal would go on with it for minutes, whatever else is wrong.
    last = activity.info().attempt >= contract.ATTEMPTS and not isinstance(error, RateLimited)
    return ApplicationError(
        str(error),
        {"charged": str(charged), "troubles": [one.model_dump() for one in troubles]},
        type=type(error).__name__,
        non_retryable=last or not error.retryable,
        next_retry_delay=None if wait is None else timedelta(seconds=wait),
    )


def not_begun(error: StoreError, reserved: Decimal) -> ApplicationError:
    """The store is away, and nothing is sent without an intent. Whether an earlier attempt sent something, is said by
    the number that it left in its last heartbeat: up to that attempt nothing was."""
    info = activity.info()
    untouched = info.attempt == 1 or list(info.heartbeat_details) == [info.attempt - 1]
    if untouched:
        activity.heartbeat(info.attempt)
    return ApplicationError(
        str(error),
        {"charged": "0" if untouched else str(reserved)},
        type="StoreError",
        non_retryable=info.attempt >= contract.ATTEMPTS,
    )


def outcome_unknown(intent: Intent, charged: Decimal) -> ApplicationError:
    """Of a call that is in doubt, and would be paid again if it were sent again."""
    return ApplicationError(
        f"request {intent.request_id!r} was sent to a provider before and nobody knows what became of it; it is "
        "counted as paid and not sent again. Send it under a new request id if an answer is worth a second payment",
        {"charged": str(charged)},
        type="OutcomeUnknown",
        non_retryable=True,
    )
