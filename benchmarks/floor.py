"""The floor that our overhead is measured against: a bare workflow with an update and one activity."""

from datetime import timedelta
from typing import Any

from temporalio import activity, workflow


@activity.defn
async def echo(value: dict[str, Any]) -> dict[str, Any]:
    """Do nothing."""
    return value


@workflow.defn
class FloorWorkflow:
    """Nothing but the round trips that any durable answer needs."""

    def __init__(self) -> None:
        self._done = False

    @workflow.run
    async def run(self) -> None:
        await workflow.wait_condition(lambda: workflow.info().is_continue_as_new_suggested())
        await workflow.wait_condition(workflow.all_handlers_finished)
        workflow.continue_as_new()

    @workflow.update
    async def submit(self, value: dict[str, Any]) -> dict[str, Any]:
        """Run the activity."""
        return await workflow.execute_activity(echo, value, start_to_close_timeout=timedelta(seconds=30))
