"""`BatchWorkflow`: questions that nobody waits for, sent together, looked after, collected; then it tells the task."""

from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, FailureError

with workflow.unsafe.imports_passed_through():
    from activities import contract
    from apprentice.messages import BatchOutcome, BatchProgress, BatchRequest
    from workflows import policies
    from workflows.ids import lifecycle_id

FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=1), timedelta(minutes=5)
# All together stay below `apprentice.batching.GIVEN_UP_AFTER`. Providers end a batch themselves after 24 hours.
SUBMIT_WITHIN = timedelta(hours=2)
ANSWERED_WITHIN = timedelta(hours=24, minutes=15)
CANCELLED_WITHIN = timedelta(hours=1)
COLLECT_WITHIN = timedelta(hours=1)
# Thousands of answers are read and written one by one.
COLLECT_TIMEOUT = timedelta(minutes=30)
SUBMIT_TIMEOUT = timedelta(minutes=10)


@workflow.defn
class BatchWorkflow:
    """One batch. Every step may be run again, so a restarted worker goes on where the last one was."""

    @workflow.init
    def __init__(self, request: BatchRequest) -> None:
        self.request = request
        self.step = "starting"
        self.error = ""

    @workflow.run
    async def run(self, request: BatchRequest) -> BatchOutcome:
        id = await self._submit()
        if id:
            await self._answered(id)
        outcome = await self._collect(id)
        outcome = outcome.model_copy(update={"error": self.error})
        await self._report(outcome)
        return outcome

    @workflow.query
    def progress(self) -> str:
        """Which step is under way."""
        return self.step

    def _at(self, step: str) -> None:
        self.step = step
        of = f"batch {self.request.number} of {self.request.task}, {self.request.size} questions"
        workflow.set_current_details(f"{of}: {step}")

    async def _submit(self) -> str:
        """The provider's name of the batch; empty if it was not sent, or nobody knows."""
        self._at("sending")
        try:
            return await workflow.execute_activity(
                contract.submit_batch,
                self.request,
                start_to_close_timeout=SUBMIT_TIMEOUT,
                schedule_to_close_timeout=SUBMIT_WITHIN,
                heartbeat_timeout=policies.HEARTBEAT,
                retry_policy=policies.BATCH,
                summary=f"{self.request.size} questions",
            )
        except ActivityError as error:
            self.error = _words(error)
            return ""

    async def _answered(self, id: str) -> None:
        """Until the provider has done with it, or is asked to, or does not answer to that either."""
        self._at("waiting for the answers")
        if await self._done(id, workflow.now() + ANSWERED_WITHIN):
            return
        self._at("cancelling")
        self.error = "it was not answered in time, and cancelled"
        try:
            await workflow.execute_activity(
                contract.cancel_batch,
                args=[self.request, id],
                start_to_close_timeout=policies.PERSIST_TIMEOUT,
                schedule_to_close_timeout=CANCELLED_WITHIN,
                heartbeat_timeout=policies.HEARTBEAT,
                retry_policy=policies.BATCH,
                summary="over a day old",
            )
        except ActivityError as error:
            workflow.logger.warning("batch %d cannot be cancelled: %s", self.request.number, _words(error))
        await self._done(id, workflow.now() + CANCELLED_WITHIN)

    async def _done(self, id: str, until: datetime) -> bool:
        """Whether it was done before that time. A provider that is away may come back; so may a key that was taken."""
        pause = FIRST_PAUSE
        while workflow.now() < until:
            await workflow.sleep(pause, summary="look again")
            pause = min(LONGEST_PAUSE, pause * 2)
            progress = await self._look(id)
            if progress is not None and progress.done:
                self.error = progress.failed or self.error
                return True
        return False

    async def _look(self, id: str) -> BatchProgress | None:
        try:
            return await workflow.execute_activity(
                contract.look_batch,
                args=[self.request, id],
                start_to_close_timeout=policies.PERSIST_TIMEOUT,
                schedule_to_close_timeout=LONGEST_PAUSE,
                heartbeat_timeout=policies.HEARTBEAT,
                retry_policy=policies.BATCH,
            )
        except ActivityError as error:
            workflow.logger.warning("batch %d cannot be looked at: %s", self.request.number, _words(error))
            return None

    async def _collect(self, id: str) -> BatchOutcome:
        self._at("collecting the answers")
        if id:
            try:
                return await self._collected(id, COLLECT_WITHIN)
            except ActivityError as error:
                self.error = _words(error)
        # The store alone: it comes back.
        return await self._collected("", None)

    async def _collected(self, id: str, within: timedelta | None) -> BatchOutcome:
        return await workflow.execute_activity(
            contract.collect_batch,
            args=[self.request, id],
            start_to_close_timeout=COLLECT_TIMEOUT,
            schedule_to_close_timeout=within,
            heartbeat_timeout=policies.HEARTBEAT,
            retry_policy=policies.BATCH,
            summary="write down the answers" if id else "write down that there are none",
        )

    async def _report(self, outcome: BatchOutcome) -> None:
        # First: from when the task has heard of it, the same questions may be asked again.
        await workflow.execute_activity(
            contract.clear_batch,
            args=[self.request.task, self.request.number],
            start_to_close_timeout=policies.PERSIST_TIMEOUT,
            retry_policy=policies.PERSIST,
            summary="the journal has it all",
        )
        self._at(f"done: {outcome.answered} answered, {outcome.failed + outcome.unusable} not")
        parent = workflow.get_external_workflow_handle(lifecycle_id(self.request.task))
        try:
            await parent.signal("batched", outcome)
        except FailureError as error:  # it was retired; the journal knows what was paid
            workflow.logger.warning("the task %s does not hear of its batch: %s", self.request.task, error)


def _words(error: ActivityError) -> str:
    return error.cause.message if isinstance(error.cause, ApplicationError) else str(error.cause or error)
