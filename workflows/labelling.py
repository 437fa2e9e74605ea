"""What people say of answers: checked, stored, and the sum of it told to the brain."""

import asyncio
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError

from activities import contract
from apprentice.lifecycle import Lifecycle
from apprentice.messages import Feedback, FeedbackCall, Labelled
from apprentice.storable import why_not_storable
from workflows import policies
from workflows.burst import LARGEST_REQUEST, Burst
from workflows.failures import named

# A person waits, and may send it again: a store that is away must not hold up a rollover.
RETRIES = RetryPolicy(initial_interval=timedelta(milliseconds=200), maximum_attempts=8)
TIMEOUT = timedelta(minutes=5)


class Labelling:
    """Of one task: one message after the other, so that no older sum overtakes a newer one."""

    def __init__(self, brain: Lifecycle, burst: Burst) -> None:
        self._brain = brain
        self._burst = burst
        self._one_at_a_time = asyncio.Lock()

    def check(self, order: Feedback) -> None:
        """Raises `ApplicationError` of type InvalidLabel."""
        content = order.model_dump_json().encode()
        if len(content) > LARGEST_REQUEST:
            raise _invalid(f"the labels are {len(content):,} bytes long; {LARGEST_REQUEST:,} are the most")
        if why := why_not_storable(content, "label"):
            raise _invalid(why)

    async def take(self, order: Feedback, digest: str) -> Labelled:
        """Raises `ApplicationError` named after what failed."""
        brain, version = self._brain, self._brain.settings.schema_version
        call = FeedbackCall(task=brain.settings.name, settings_digest=digest, labels=order.labels)
        async with self._one_at_a_time:
            await self._burst.wait(len(call.model_dump_json().encode()))
            try:
                labelled = await workflow.execute_activity(
                    contract.record_feedback,
                    call,
                    start_to_close_timeout=TIMEOUT,
                    heartbeat_timeout=policies.HEARTBEAT,
                    retry_policy=RETRIES,
                    summary=f"{len(order.labels)} labels",
                )
            except ActivityError as error:
                raise named(error) from None
            if brain.settings.schema_version == version:
                brain.observe(labelled.gold, workflow.now())
        return labelled


def _invalid(message: str) -> ApplicationError:
    return ApplicationError(message, type="InvalidLabel", non_retryable=True)
