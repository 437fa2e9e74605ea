"""`Apprentice`: send a task, get an answer, whoever produced it."""

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, Self
from uuid import uuid4

from temporalio.client import (
    Client,
    WorkflowHandle,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from apprentice.messages import ApplySettings, HistoryPoint, Order, TaskRequest, TaskResult, TaskStatus
from apprentice.settings import TaskSettings
from client import errors
from client.connection import connect
from client.lane import Lane
from workflows import TaskLifecycleWorkflow
from workflows.burst import LARGEST_INPUT
from workflows.ids import LIFECYCLE_PREFIX, lifecycle_id
from workflows.refusals import check_settings
from workflows.task_lifecycle import SEEN, LifecycleStart, View

# A stock server keeps ten updates in flight for a workflow and refuses the next; two are left to operators.
CONCURRENCY = 8
# After a kill -9 of its worker in the midst of a workflow task, a task waits this long: 5 to 6 s until the next answer
# were measured; with the server's default of 10 s it was 10 to 11. A full history must replay in well under it: 10,000
# events take about 2 s.
TASK_TIMEOUT = timedelta(seconds=5)
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


class Apprentice:
    """The client for services; safe to share between coroutines.

    async with Apprentice.connect() as apprentice:
        result = await apprentice.run("classify_ticket", {"text": "I was charged twice"})
        result.output
    """

    def __init__(self, client: Client, *, task_queue: str = "apprentice", concurrency: int = CONCURRENCY) -> None:
        """`concurrency` bounds the requests of this client in flight for each task."""
        self.client = client
        self.task_queue = task_queue
        self._lanes: defaultdict[str, Lane] = defaultdict(lambda: Lane(concurrency))

    @classmethod
    @asynccontextmanager
    async def connect(
        cls, address: str | None = None, *, task_queue: str = "apprentice", concurrency: int = CONCURRENCY
    ) -> AsyncIterator[Self]:
        """Connect to the server of the standard environment, or at `address`. Raises `NoServer`."""
        yield cls(await connect(address), task_queue=task_queue, concurrency=concurrency)

    async def run(
        self,
        task: str,
        input: dict[str, Any],
        *,
        request_id: str | None = None,
        deadline: float | None = None,
        attempt: int = 0,
    ) -> TaskResult:
        """Answer one request.

        `request_id`: the same id gets the same answer, however often and whenever it is sent; by default a new one.
        `deadline`: seconds that the caller waits. `attempt`: raise it to try a request again that has failed.
        Raises InvalidInput, UnknownTask, BudgetExhausted, RequestFailed, DeadlineExceeded, NoServer.
        """
        request = TaskRequest(request_id=request_id or str(uuid4()), task=task, input=input)
        content = request.model_dump_json().encode()
        if len(content) > LARGEST_INPUT:
            raise errors.InvalidInput(f"the request is {len(content):,} bytes long; {LARGEST_INPUT:,} are the most")
        # With its content: the server answers a repeated update id unseen, also one that comes with another input.
        update_id = f"{request.request_id}~{attempt}~{hashlib.sha256(content).hexdigest()[:16]}"
        handle = self._handle(task)
        try:
            async with asyncio.timeout(deadline), self._lanes[task].enter(len(content)):
                return await _resend(
                    lambda: handle.execute_update(TaskLifecycleWorkflow.submit, request, id=update_id), task
                )
        except TimeoutError:
            raise errors.DeadlineExceeded(
                f"no answer to request {request.request_id} within {deadline:g} s; it goes on, "
                "and sending it again collects its answer"
            ) from None

    async def status(self, task: str) -> TaskStatus:
        """How the task stands now. Raises UnknownTask, NoServer."""
        return TaskStatus.model_validate(await self._look(task, "status"))

    async def history(self, task: str) -> list[HistoryPoint]:
        """The task's story, oldest first, at most 240 points. Raises UnknownTask, NoServer."""
        return [HistoryPoint.model_validate(point) for point in await self._look(task, "history")]

    async def operate(self, task: str, order: Order) -> TaskStatus:
        """Give an order; how the task stands after it. Raises OrderRefused, UnknownTask, NoServer."""
        return await _resend(lambda: self._handle(task).execute_update(TaskLifecycleWorkflow.operate, order), task)

    async def apply(self, settings: TaskSettings) -> bool:
        """Start the task, or give a running one these settings; True if it was started now. Raises OrderRefused."""
        try:
            check_settings(settings)
        except ApplicationError as error:
            raise _named(error) from None
        try:
            await self.client.start_workflow(
                TaskLifecycleWorkflow.run,
                LifecycleStart(settings=settings),
                id=lifecycle_id(settings.name),
                task_queue=self.task_queue,
                task_timeout=TASK_TIMEOUT,
                static_summary=f"task {settings.name}",
            )
        except WorkflowAlreadyStartedError:
            await self.operate(settings.name, ApplySettings(settings=settings))
            return False
        return True

    async def tasks(self) -> list[str]:
        """Names of the tasks that run, sorted."""
        running = self.client.list_workflows(
            "WorkflowType = 'TaskLifecycleWorkflow' AND ExecutionStatus = 'Running'", page_size=200
        )
        return sorted([found.id.removeprefix(LIFECYCLE_PREFIX) async for found in running])

    async def _look(self, task: str, view: View) -> Any:
        """What the refusal of the update `look` holds, as JSON."""

        async def look() -> Any:
            try:
                return await self._handle(task).execute_update(TaskLifecycleWorkflow.look, view)
            except WorkflowUpdateFailedError as error:
                if isinstance(error.cause, ApplicationError) and error.cause.type == SEEN:
                    return error.cause.details[0]
                raise

        return await _resend(look, task)

    def _handle(self, task: str) -> WorkflowHandle[TaskLifecycleWorkflow, None]:
        return self.client.get_workflow_handle_for(TaskLifecycleWorkflow.run, lifecycle_id(task))


async def _resend[T](send: Callable[[], Awaitable[T]], task: str) -> T:
    """Send until it is answered or refused for good; only the caller's deadline ends the waiting."""
    pause = FIRST_PAUSE
    while True:
        try:
            return await send()
        except WorkflowUpdateFailedError as error:
            cause = error.cause
            if not (isinstance(cause, ApplicationError) and cause.type in PASSING):
                raise _named(cause) from None
        except WorkflowUpdateRPCTimeoutOrCancelledError as error:
            if isinstance(error.__cause__, asyncio.CancelledError):
                raise error.__cause__ from None
            # The server cut a long poll short; the update itself goes on under its id.
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                raise errors.UnknownTask(
                    f"task {task!r} is not running; see `apprentice status`, or start it with `apprentice apply`"
                ) from None
            if error.status not in UNREACHABLE:
                raise errors.ApprenticeError(f"the Temporal server refused: {error.message}") from error
        await asyncio.sleep(pause)
        pause = min(LONGEST_PAUSE, pause * 2)


def _named(cause: BaseException) -> errors.ApprenticeError:
    """The public error for a failed update."""
    if not isinstance(cause, ApplicationError):
        return errors.RequestFailed(type(cause).__name__, str(cause))
    match cause.type:
        case "InvalidInput":
            return errors.InvalidInput(cause.message)
        case "SchemaChanged" | "SettingsRefused":
            return errors.OrderRefused(cause.message)
        case "BudgetExhausted":
            resets = cause.details[0] if cause.details else None
            return errors.BudgetExhausted(cause.message, datetime.fromisoformat(resets) if resets else None)
        case kind:
            return errors.RequestFailed(kind or "ApplicationError", cause.message)
