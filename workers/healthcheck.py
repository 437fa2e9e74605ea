"""Whether a worker of this machine (or container) is polling: `python -m workers.healthcheck [TASK_QUEUE]`.

Exit codes: 0 it is; 1 it is not; 3 no server reachable.
"""

import asyncio
import socket
import sys
from datetime import UTC, datetime, timedelta

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.envconfig import ClientConfig

from workers.leaving import leave

FRESH = timedelta(minutes=2)
"""A poll is held open for one minute: a poller not seen for two is gone."""
CONNECT_SECONDS = 10.0


async def is_polling(client: Client, task_queue: str, host: str, now: datetime) -> bool:
    """Whether a worker on `host` polled for workflow tasks lately. The SDK's identities are `pid@host`."""
    answer = await client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(
            namespace=client.namespace,
            task_queue=TaskQueue(name=task_queue),
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
        )
    )
    return any(
        poller.identity.endswith(f"@{host}") and now - poller.last_access_time.ToDatetime(UTC) < FRESH
        for poller in answer.pollers
    )


async def check(task_queue: str) -> int:
    """Exit code; one line on standard error says why it is not 0."""
    try:
        connection = Client.connect(**ClientConfig.load_client_connect_config())
        client = await asyncio.wait_for(connection, CONNECT_SECONDS)
    except (RuntimeError, TimeoutError) as problem:
        print(f"no server reachable: {problem}", file=sys.stderr)
        return 3
    if await is_polling(client, task_queue, socket.gethostname(), datetime.now(UTC)):
        return 0
    print(f"no worker of {socket.gethostname()} polls task queue {task_queue}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    leave(asyncio.run(check(sys.argv[1] if len(sys.argv) > 1 else "apprentice")))
