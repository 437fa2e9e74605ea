"""`Apprentice`: send a task, get an answer, whoever produced it."""

import asyncio
import hashlib
import os
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

from temporalio.client import Client, WorkflowHandle
from temporalio.exceptions import WorkflowAlreadyStartedError

from apprentice.budget import caps_of
from apprentice.config import load_temporal
from apprentice.messages import (
    ApplySettings,
    Backfilled,
    BudgetStatus,
    Freeze,
    HistoryPoint,
    Label,
    Order,
    Retire,
    SetCaps,
    TaskResult,
    TaskStatus,
    Verdict,
)
from apprentice.settings import SHARED_BUDGET, BudgetSettings, TaskSettings, TemporalSettings
from client import errors
from client.backfilling import added, orders_of
from client.connection import connect
from client.labels import feedback_of, label_of
from client.lane import Lane
from client.payloads import NO_SETTINGS, converter_of, largest_request
from client.prompt_updates import with_prompt_updates
from client.requests import request_of
from client.sending import checked, no_budget, no_task, resend
from workflows import BudgetWorkflow, TaskLifecycleWorkflow
from workflows.budget import BudgetStart
from workflows.burst import BY_REFERENCE
from workflows.ids import LIFECYCLE_PREFIX, lifecycle_id
from workflows.looking import View, shown
from workflows.refusals import check_budget, check_settings
from workflows.task_lifecycle import LifecycleStart

# A stock server keeps ten updates in flight for a workflow and refuses the next; two are left to operators.
CONCURRENCY = 8
# After a kill -9 of its worker in the midst of a workflow task, a task waits this long: 5 to 6 s until the next answer
# were measured; with the server's default of 10 s it was 10 to 11. A full history must replay in well under it: 6,000
# events take 1.5 s, and three times that where others use the machine too; with 4 s, a replay that was too late for it
# was begun again and again.
TASK_TIMEOUT = timedelta(seconds=5)
# What a large request leaves in Temporal: a name and a hash, sealed.
REFERENCE_BYTES = 1024
STATUS: View = "status"


class Apprentice:
    """The client for services; safe to share between coroutines.

    async with Apprentice.connect() as apprentice:
        result = await apprentice.run("classify_ticket", {"text": "I was charged twice"})
        result.output
    """

    def __init__(
        self,
        client: Client,
        *,
        task_queue: str = "apprentice",
        concurrency: int = CONCURRENCY,
        shared_budget: str = SHARED_BUDGET,
    ) -> None:
        """`concurrency` bounds the requests of this client in flight for each task.

        `shared_budget` is the workflow id of the budget for all tasks, as in `TaskSettings`.
        A client of your own making needs the data converter of the configuration: `client.payloads.converter_of`.
        """
        self.client = with_prompt_updates(client)
        self._largest = largest_request(client.data_converter)
        self.task_queue = task_queue
        self.shared_budget = shared_budget
        self._lanes: defaultdict[str, Lane] = defaultdict(lambda: Lane(concurrency))

    @classmethod
    @asynccontextmanager
    async def connect(
        cls,
        address: str | None = None,
        *,
        config: str | Path | TemporalSettings | None = None,
        task_queue: str | None = None,
        concurrency: int = CONCURRENCY,
    ) -> AsyncIterator[Self]:
        """Connect to the server of the standard environment, or at `address`.

        `config` says how payloads travel: apprentice.yaml, of which only the block `temporal` is read (encryption keys,
        storage of large payloads, the largest request), or that block as an object. By default the file that the
        environment variable APPRENTICE_CONFIG names; without that, nothing is encrypted, a request is at most 100 KiB,
        and what others encrypted or stored cannot be read. Raises NoServer, and ConfigError with the line at fault.
        """
        settings = _payload_settings(config)
        converter = NO_SETTINGS if settings is None else converter_of(settings, os.environ)
        queue = task_queue or (settings.task_queue if settings else "apprentice")
        yield cls(await connect(address, converter), task_queue=queue, concurrency=concurrency)

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
        request, content = request_of(task, input, request_id or str(uuid4()), self._largest)
        on_the_wire = len(content) if len(content) < BY_REFERENCE else REFERENCE_BYTES
        # With its content: the server answers a repeated update id unseen, also one that comes with another input.
        update_id = f"{request.request_id}~{attempt}~{hashlib.sha256(content).hexdigest()[:16]}"
        handle, missing = self._handle(task), no_task(task)
        try:
            async with asyncio.timeout(deadline), self._lanes[task].enter(on_the_wire):
                return await resend(
                    lambda: handle.execute_update(TaskLifecycleWorkflow.submit, request, id=update_id), missing
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
        handle, order_id = self._handle(task), str(uuid4())  # a broken connection must not roll back two versions
        return await resend(
            lambda: handle.execute_update(TaskLifecycleWorkflow.operate, order, id=order_id), no_task(task)
        )

    async def apply(self, settings: TaskSettings, new_version: bool = False) -> bool:
        """Start the task, or give a running one these settings; True if it was started now.

        `new_version`: if its schemas differ from those it runs with, it learns anew, and the old examples are kept
        apart; without it such settings are refused. Raises OrderRefused, NoServer.
        """
        checked(lambda: check_settings(settings))
        order = ApplySettings(settings=settings, new_version=new_version)
        while True:
            try:
                await self._start(settings)
                return True
            except WorkflowAlreadyStartedError:
                with suppress(errors.UnknownTask):  # it ended since: then it is started after all
                    await self.operate(settings.name, order)
                    return False

    async def retire(self, task: str) -> TaskStatus:
        """End the task once what it has begun is finished; how it stood. `apply` starts it again where it was.

        Raises UnknownTask, NoServer.
        """
        status = await self.operate(task, Retire())
        await self._handle(task).result()
        return status

    async def tasks(self) -> list[str]:
        """Names of the tasks that run, sorted."""
        running = self.client.list_workflows(
            "WorkflowType = 'TaskLifecycleWorkflow' AND ExecutionStatus = 'Running'", page_size=200
        )
        return sorted([found.id.removeprefix(LIFECYCLE_PREFIX) async for found in running])

    async def backfill(self, task: str, inputs: Sequence[dict[str, Any]]) -> Backfilled:
        """Have inputs answered for training only, in batches (`remote.batch`); what became of them, together.

        An input that an example has, or a batch will, is not asked again. Raises InvalidInput, OrderRefused for a task
        without `remote.batch`, UnknownTask, NoServer.
        """
        handle, missing = self._handle(task), no_task(task)
        taken = Backfilled()
        for order in orders_of(task, inputs, self._largest):
            send = partial(handle.execute_update, TaskLifecycleWorkflow.backfill, order, id=str(uuid4()))
            more = await resend(send, missing)
            taken = added(taken, more)
        return taken

    async def feedback(
        self, task: str, request_id: str, *, output: dict[str, Any] | None = None, right: bool | None = None
    ) -> Verdict:
        """Say what was right: the `output` that should have been given, or whether the one that was served is `right`.

        Said again, the later word holds. How each model's answer compares with it, by the task's evaluator. Raises
        InvalidLabel, UnknownRequest, RequestFailed for an answer that cannot be compared, UnknownTask, NoServer.
        """
        [verdict] = await self.feedback_all(task, [label_of(request_id, output, right)])
        if verdict.error == "InvalidLabel":
            raise errors.InvalidLabel(verdict.message)
        if verdict.error == "UnknownRequest":
            raise errors.UnknownRequest(verdict.message)
        if verdict.error is not None:
            raise errors.RequestFailed(verdict.error, verdict.message)
        return verdict

    async def feedback_all(self, task: str, labels: Sequence[Label]) -> list[Verdict]:
        """As `feedback` for many requests: a verdict for each label, in their order; one with an `error` was not taken.

        Raises InvalidLabel, when those before may have been taken: sent again they change nothing. UnknownTask,
        NoServer.
        """
        handle, missing = self._handle(task), no_task(task)
        verdicts: list[Verdict] = []
        for order, size in feedback_of(task, labels, self._largest):
            send = partial(handle.execute_update, TaskLifecycleWorkflow.feedback, order, id=str(uuid4()))
            async with self._lanes[task].enter(size if size < BY_REFERENCE else REFERENCE_BYTES):
                labelled = await resend(send, missing)
            verdicts += labelled.verdicts
        return verdicts

    # --- the budget for all tasks ------------------------------------------------------------------------------

    async def apply_budget(self, settings: BudgetSettings) -> bool:
        """Start the budget for all tasks, or give the running one these caps; True if it was started now.

        Without a cap none is started, and one that runs caps nothing from now on. A freeze stays. Raises OrderRefused.
        """
        checked(lambda: check_budget(settings))
        caps, handle = any(caps_of(settings)), self._budget()
        while True:
            if caps:
                with suppress(WorkflowAlreadyStartedError):
                    await self._start_budget(settings)
                    return True
            try:
                await resend(lambda: handle.execute_update(BudgetWorkflow.configure, settings), no_budget())
            except errors.NoBudget:  # it ended since: then it is started after all
                if caps:
                    continue
            return False

    async def budget(self) -> BudgetStatus:
        """The caps for all tasks, and what each holds of them. Raises NoBudget, NoServer."""
        handle, view = self._budget(), STATUS
        status = await resend(lambda: shown(handle.execute_update(BudgetWorkflow.look, view)), no_budget())
        return BudgetStatus.model_validate(status)

    async def operate_budget(self, order: SetCaps | Freeze) -> BudgetStatus:
        """Raise, lower or freeze the caps for all tasks; how they stand after it. Raises NoBudget, NoServer."""
        handle = self._budget()
        return await resend(lambda: handle.execute_update(BudgetWorkflow.operate, order), no_budget())

    async def _start(self, settings: TaskSettings) -> None:
        await self.client.start_workflow(
            TaskLifecycleWorkflow.run,
            LifecycleStart(settings=settings),
            id=lifecycle_id(settings.name),
            task_queue=self.task_queue,
            task_timeout=TASK_TIMEOUT,
            static_summary=f"task {settings.name}",
        )

    async def _start_budget(self, settings: BudgetSettings) -> None:
        await self.client.start_workflow(
            BudgetWorkflow.run,
            BudgetStart(settings=settings),
            id=self.shared_budget,
            task_queue=self.task_queue,
            task_timeout=TASK_TIMEOUT,
            static_summary="budget for all tasks",
        )

    async def _look(self, task: str, view: View) -> Any:
        handle = self._handle(task)
        return await resend(lambda: shown(handle.execute_update(TaskLifecycleWorkflow.look, view)), no_task(task))

    def _handle(self, task: str) -> WorkflowHandle[TaskLifecycleWorkflow, None]:
        return self.client.get_workflow_handle_for(TaskLifecycleWorkflow.run, lifecycle_id(task))

    def _budget(self) -> WorkflowHandle[BudgetWorkflow, None]:
        return self.client.get_workflow_handle_for(BudgetWorkflow.run, self.shared_budget)


def _payload_settings(config: str | Path | TemporalSettings | None) -> TemporalSettings | None:
    """Raises ConfigError."""
    if isinstance(config, TemporalSettings):
        return config
    path = config or os.environ.get("APPRENTICE_CONFIG")
    return load_temporal(Path(path), os.environ) if path else None
