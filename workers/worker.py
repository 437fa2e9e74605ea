"""The worker process: polls one task queue with all workflows and activities over one store."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from importlib.metadata import version

from temporalio.client import Client
from temporalio.common import WorkerDeploymentVersion
from temporalio.worker import UnsandboxedWorkflowRunner, Worker, WorkerDeploymentConfig

from activities.store import Store
from workers.registration import WORKFLOWS, activities, utc_now
from workers.retention import forgetting
from workflows.tolerant import TolerantSignals

# After a kill -9 a workflow task waits this long on the dead worker's own queue before another worker gets it.
STICKY = timedelta(seconds=1)
# Our heartbeats are to reach the server as they are beaten: a dead worker's call is noticed by their absence.
HEARTBEAT_THROTTLE = timedelta(seconds=1)
# Requests that arrive together share a workflow task. The SDK's default hands only three of their activities straight
# to this worker; the others take the way round the server.
EAGER = 32
GRACE = timedelta(seconds=10)
# Named, because the SDK would otherwise hash the source of every loaded module at each start: two seconds.
DEPLOYMENT = WorkerDeploymentConfig(
    version=WorkerDeploymentVersion(deployment_name="apprentice", build_id=version("apprentice")),
    use_worker_versioning=False,
)


@asynccontextmanager
async def worker(
    client: Client,
    store_url: str,
    task_queue: str,
    *,
    max_cached_workflows: int = 1000,
    retention: timedelta | None = None,
) -> AsyncIterator[Worker]:
    """A running worker; on leaving it drains for up to ten seconds. Raises StoreError if the store cannot be opened.

    What the store has of calls and comparisons older than `retention` is deleted; None keeps all.
    """
    async with (
        await Store.open(store_url) as store,
        forgetting(store, retention, utc_now),
        Worker(
            client,
            task_queue=task_queue,
            workflows=WORKFLOWS,
            activities=activities(store),
            interceptors=[TolerantSignals()],
            # The sandbox took 28% of this process's time, for a core that has no clock, no coin and no I/O: tests see
            # to that, and replay the histories inside the sandbox.
            workflow_runner=UnsandboxedWorkflowRunner(),
            deployment_config=DEPLOYMENT,
            max_cached_workflows=max_cached_workflows,
            max_eager_activity_reservations_per_workflow_task=EAGER,
            sticky_queue_schedule_to_start_timeout=STICKY,
            max_heartbeat_throttle_interval=HEARTBEAT_THROTTLE,
            default_heartbeat_throttle_interval=HEARTBEAT_THROTTLE,
            graceful_shutdown_timeout=GRACE,
        ) as running,
    ):
        yield running
