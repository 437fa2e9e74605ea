"""The Temporal server, and whether anybody works there."""

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest, GetSystemInfoRequest
from temporalio.client import Client
from temporalio.service import RPCError

from apprentice.settings import TemporalSettings
from client.connection import connect
from client.doctor.findings import Finding, State, found
from client.errors import NoServer
from workers.search_attributes import SEARCH_ATTRIBUTES, known_search_attributes


class NotReady(Exception):
    """A server that is there and lacks something; the message says what."""


async def server(address: str | None, settings: TemporalSettings) -> list[Finding]:
    """The server, and, where there is one, its search attributes and the workers of our task queue."""
    clients: list[Client] = []

    async def check() -> str:
        client = await connect(address)
        clients.append(client)
        system = await client.workflow_service.get_system_info(GetSystemInfoRequest())
        return f"server {system.server_version} at {client.service_client.config.target_host}"

    temporal = await found("temporal", check(), NoServer, RPCError, RuntimeError, ValueError, state=State.MISSING)
    if not clients:
        return [temporal]
    attributes = await found("search attributes", _attributes(clients[0]), NotReady, RPCError)
    return [temporal, attributes, await found("workers", _workers(clients[0], settings.task_queue), NotReady, RPCError)]


async def _attributes(client: Client) -> str:
    known = await known_search_attributes(client)
    if wrong := [name for name, kind in SEARCH_ATTRIBUTES.items() if known.get(name, kind) != kind]:
        raise NotReady(f"of another type in namespace {client.namespace}: {', '.join(wrong)}")
    missing = SEARCH_ATTRIBUTES.keys() - known.keys()
    return "are there" if not missing else "will be added by `apprentice apply`"


async def _workers(client: Client, queue: str) -> str:
    answer = await client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(
            namespace=client.namespace,
            task_queue=TaskQueue(name=queue),
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
        )
    )
    if not answer.pollers:
        raise NotReady(f"nobody works on task queue {queue}; start `apprentice worker`")
    return f"{len(answer.pollers)} on task queue {queue}"
