"""Updates that are sent again at once when their workflow is just rolling over."""

import asyncio
import copy
from collections.abc import Mapping
from datetime import timedelta

from temporalio.api.enums.v1 import ResourceExhaustedCause
from temporalio.api.errordetails.v1 import ResourceExhaustedFailure
from temporalio.api.workflowservice.v1 import UpdateWorkflowExecutionRequest, UpdateWorkflowExecutionResponse
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode, WorkflowService

# Seconds before each further attempt; the server itself tries twice, 200 ms apart, before it answers.
PAUSES = (0.02, 0.05, 0.1, 0.2)


class PromptUpdates(WorkflowService):
    """The workflow service, but for updates that reach a run in the moment in which it ends.

    The server answers them with RESOURCE_EXHAUSTED, "workflow is closing", and the new run is there some ten
    milliseconds later. The SDK takes every RESOURCE_EXHAUSTED for a rate limit: it waits one second before the next
    attempt, two and more in all, and has no setting for it. It still does for all other causes, and after `PAUSES`.
    """

    async def update_workflow_execution(
        self,
        req: UpdateWorkflowExecutionRequest,
        retry: bool = False,
        metadata: Mapping[str, str | bytes] = {},
        timeout: timedelta | None = None,  # noqa: ASYNC109 - the signature is the SDK's
    ) -> UpdateWorkflowExecutionResponse:
        """Send an update, as the SDK does."""
        for pause in PAUSES:
            try:
                return await super().update_workflow_execution(req, False, metadata, timeout)
            except RPCError as error:
                if not retry:
                    raise
                if not _is_busy(error):
                    break
            await asyncio.sleep(pause)
        return await super().update_workflow_execution(req, retry, metadata, timeout)


def with_prompt_updates(client: Client) -> Client:
    """The same client, over the same connection, whose updates are prompt."""
    service = copy.copy(client.service_client)
    service.workflow_service = PromptUpdates(client.service_client)
    config = client.config()
    config["service_client"] = service
    return Client(**config)


def _is_busy(error: RPCError) -> bool:
    """Whether the workflow, and not the server, has no room for the update right now."""
    if error.status is not RPCStatusCode.RESOURCE_EXHAUSTED:
        return False
    failure = ResourceExhaustedFailure()
    return any(
        detail.Unpack(failure) and failure.cause == ResourceExhaustedCause.RESOURCE_EXHAUSTED_CAUSE_BUSY_WORKFLOW
        for detail in error.grpc_status.details
    )
