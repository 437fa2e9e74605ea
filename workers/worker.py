"""The worker process: polls one task queue with all workflows and activities over one store."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from temporalio.client import Client
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from activities.store import Store
from workers.registration import WORKFLOWS, activities

# After a kill -9 a workflow task waits this long on the dead worker's own queue before another worker gets it.
STICKY = timedelta(seconds=1)
# Our heartbeats are to reach the server as they are beaten: a dead worker's call is noticed by their absence.
HEARTBEAT_THROTTLE = timedelta(seconds=1)
# The domain is pure and the same in every workflow; loading it anew into each sandbox would only cost time.
PASSED_THROUGH = ("apprentice", "activities", "workflows", "yaml", "genai_prices", "httpx")
GRACE = timedelta(seconds=10)


@asynccontextmanager
async def worker(
    client: Client, store_url: str, task_queue: str, *, max_cached_workflows: int = 1000
) -> AsyncIterator[Worker]:
    """A running worker; on leaving it drains for up to ten seconds. Raises StoreError if the store cannot be opened."""
    restrictions = SandboxRestrictions.default.with_passthrough_modules(*PASSED_THROUGH)
    async with (
        await Store.open(store_url) as store,
        Worker(
            client,
            task_queue=task_queue,
            workflows=WORKFLOWS,
            activities=activities(store),
            workflow_runner=SandboxedWorkflowRunner(restrictions=restrictions),
            max_cached_workflows=max_cached_workflows,
            sticky_queue_schedule_to_start_timeout=STICKY,
            max_heartbeat_throttle_interval=HEARTBEAT_THROTTLE,
            default_heartbeat_throttle_interval=HEARTBEAT_THROTTLE,
            graceful_shutdown_timeout=GRACE,
        ) as running,
    ):
        yield running
