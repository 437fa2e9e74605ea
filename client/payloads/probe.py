"""Whether this worker's keys open what the running tasks began with: better said at the start than found in a loop."""

from temporalio.client import Client
from temporalio.common import RawValue

from client.errors import PayloadUnreadable
from client.payloads.unreadable import UNREADABLE
from workflows.ids import LIFECYCLE_PREFIX

TASKS_LOOKED_AT = 20


async def check_keys(client: Client, task_queue: str) -> None:
    """Raises PayloadUnreadable, naming the first task whose input cannot be read here."""
    query = f"WorkflowType = 'TaskLifecycleWorkflow' AND ExecutionStatus = 'Running' AND TaskQueue = '{task_queue}'"
    running = client.list_workflows(query, limit=TASKS_LOOKED_AT)
    async for found in running:
        handle = client.get_workflow_handle(found.id, run_id=found.run_id)
        async for event in handle.fetch_history_events(page_size=1):
            arguments = event.workflow_execution_started_event_attributes.input.payloads
            for value in await client.data_converter.decode(arguments, [RawValue] * len(arguments)):
                if value.payload.metadata.get("encoding") == UNREADABLE.encode():
                    task = found.id.removeprefix(LIFECYCLE_PREFIX)
                    raise PayloadUnreadable(f"of task {task}: {value.payload.data.decode(errors='replace')}")
            break
