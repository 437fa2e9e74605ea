"""`TaskLifecycleWorkflow`: one task's whole life, across worker restarts and continue-as-new."""

import asyncio
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities import contract
    from apprentice import opinions
    from apprentice.lifecycle import Lifecycle
    from apprentice.messages import (
        Action,
        ApplySettings,
        Backfill,
        Backfilled,
        BatchOutcome,
        Feedback,
        FineTuneOutcome,
        ForceRemote,
        Grant,
        HistoryPoint,
        Labelled,
        Message,
        Order,
        PauseCoaching,
        Recall,
        Reconcile,
        Resume,
        Retrain,
        Rollback,
        SetCaps,
        Standing,
        TaskRequest,
        TaskResult,
        TaskStatus,
    )
    from apprentice.orders import settings_after
    from apprentice.release import Release
    from apprentice.schema import SchemaError, compile_schema
    from apprentice.settings import TaskSettings
    from apprentice.state import LifecycleState
    from apprentice.storable import why_not_storable
    from workflows import policies
    from workflows.batching import Batching
    from workflows.burst import LARGEST_REQUEST, Burst
    from workflows.errands import Errands
    from workflows.failures import named
    from workflows.labelling import Labelling
    from workflows.looking import View, show
    from workflows.reconciling import reconcile
    from workflows.refusals import check_change, check_rollback
    from workflows.rolling_back import RollingBack
    from workflows.serving import Serving
    from workflows.sharing import Sharing
    from workflows.story import Story
    from workflows.till import Till

# Rolling over more often than needed is felt by callers (0.3 s and the slowest call in flight, measured); a longer
# history costs replay time, which callers wait for after a kill -9 of the worker, and which has to stay well under the
# client's TASK_TIMEOUT (about 4,000 events a second on a busy core). The server's own limit of 2,000 updates a run
# (lifted on our dev server) makes a run of 1,800 the longest that is safe everywhere.
EVENTS_A_RUN = 6_000
EVENTS_A_RUN_BEFORE = 10_000
BYTES_A_RUN = 16 * 1024 * 1024
UPDATES_A_RUN = 1_800
# Runs that began before 0.2 go on by its rules: no request shares another's answer, waits for room under a cap or is
# remembered when a cap is full, and a run is longer. What the brain decides otherwise is said in `apprentice.release`.
SINCE_0_2 = "0.2"
SINCE_0_3 = "0.3"
SINCE_0_4 = "0.4"


def _release() -> Release:
    """Under which release this run began."""
    if workflow.patched(SINCE_0_4):
        return Release.V0_4
    if workflow.patched(SINCE_0_3):
        return Release.V0_3
    return Release.V0_2 if workflow.patched(SINCE_0_2) else Release.V0_1


class LifecycleStart(Message):
    """Input of a run; `state` is what the run before it left."""

    settings: TaskSettings
    state: LifecycleState | None = None


@workflow.defn
class TaskLifecycleWorkflow:
    @workflow.init
    def __init__(self, start: LifecycleStart) -> None:
        release = _release()
        self.brain = Lifecycle(start.settings, start.state, release=release)
        self.till = Till(self.brain)
        self.sharing = Sharing() if release >= Release.V0_2 else None
        self.events_a_run = EVENTS_A_RUN if release >= Release.V0_2 else EVENTS_A_RUN_BEFORE
        self.changing = False
        self.ordering = asyncio.Lock()
        self.rolling_back = RollingBack(self.brain)
        self.story = Story()
        self.digest: str | None = None
        self.in_flight: set[str] = set()
        self.burst = Burst()
        self.updates = 0
        self.draining = False
        self.errands = Errands(self.brain, self.burst, self.fine_tuned, self.till.advance)
        self.labelling = Labelling(self.brain, self.burst)
        self.batching = Batching(self.brain, self.burst, self.batched)
        self._compile()

    @workflow.run
    async def run(self, start: LifecycleStart) -> None:
        await self._register(self.brain.settings)
        self.till.resume()
        self.story.tell(self.brain)
        while not self._ends():
            await self._wait()
            await self.errands.run()
            await self.batching.start()
        self.draining = True
        # What the last requests and signals ask for is still to be carried out: the next run would not know of it.
        while self.errands.fine_tunes or not self._quiet():
            await self.errands.start_fine_tunes()
            await self.batching.start()
            await workflow.wait_condition(lambda: bool(self.errands.fine_tunes) or self.batching.due() or self._quiet())
        await self.errands.heard()
        await self.till.quiet()
        if self.brain.state.retired:
            await self._retire()
            return
        workflow.continue_as_new(LifecycleStart(settings=self.brain.settings, state=self.brain.state))

    # --- requests ----------------------------------------------------------------------------------------------

    @workflow.update
    async def submit(self, request: TaskRequest) -> TaskResult:
        """Answer one request. The update id follows from its id and input: sent again in this run, it is the same."""
        self.updates += 1
        # Under another update id the same request may be here already; the store then answers the second. One that
        # waited looks again: others woke with it.
        while self.digest is None or request.request_id in self.in_flight:
            await workflow.wait_condition(lambda: self.digest is not None and request.request_id not in self.in_flight)
        self.in_flight.add(request.request_id)
        serving = Serving(self.brain, request, self.digest, self.burst, self.till, self.sharing)
        try:
            return await serving.run()
        except ApplicationError:
            raise
        except Exception as error:
            # Any other exception holds up the whole task until a worker of another build comes; so it is one request's.
            workflow.logger.exception("request %s failed within the workflow", request.request_id)
            self.brain.accounts.give_up(request.request_id, workflow.now())
            raise ApplicationError(f"{type(error).__name__} within the workflow", type="InternalError") from error
        finally:
            self.in_flight.discard(request.request_id)
            self._act(serving.actions)
            self.till.advance()

    @submit.validator
    def _check(self, request: TaskRequest) -> None:
        """Refusals cost no history."""
        self._refuse_while_draining()
        self._check_request(request)

    def _check_request(self, request: TaskRequest) -> None:
        content = request.model_dump_json().encode()
        if len(content) > LARGEST_REQUEST:
            message = f"the request is {len(content):,} bytes long; {LARGEST_REQUEST:,} are the most"
            raise ApplicationError(message, type="InvalidInput", non_retryable=True)
        if opinions.is_own(request.request_id):
            message = f"a request id cannot end in {opinions.SUFFIX}: the calls of second opinions have such ids"
            raise ApplicationError(message, type="InvalidInput", non_retryable=True)
        if why := why_not_storable(content):
            raise ApplicationError(why, type="InvalidInput", non_retryable=True)
        try:
            self.input_schema.validate(request.input)
        except SchemaError as error:
            raise ApplicationError(str(error), type="InvalidInput", non_retryable=True) from None

    @workflow.update
    async def feedback(self, order: Feedback) -> Labelled:
        """Store what people say of answers; how the answers compare with it. Sent again, it changes nothing.

        Raises `ApplicationError` of type InvalidLabel or RollingOver, or named after what failed.
        """
        self.updates += 1
        await workflow.wait_condition(lambda: self.digest is not None)
        return await self.labelling.take(order, self.digest or "")

    @feedback.validator
    def _check_feedback(self, order: Feedback) -> None:
        self._refuse_while_draining()
        self.labelling.check(order)

    # --- onlookers ---------------------------------------------------------------------------------------------

    @workflow.update
    async def look(self, view: View) -> None:
        """How the task stands, or its history: see `looking`."""

    @look.validator
    def _show(self, view: View) -> None:
        seen = self.status() if view == "status" else self.history()
        show(view, seen)

    # --- operators ---------------------------------------------------------------------------------------------

    @workflow.update
    async def operate(self, order: Order) -> TaskStatus:
        """Carry out an order; how the task stands after it.

        Raises `ApplicationError` of type NoSuchCall or OutcomeKnown for a call that cannot be reconciled, of type
        NoSuchVersion or RollbackFailed for a version that cannot be rolled back to.
        """
        if isinstance(order, ApplySettings | SetCaps):
            async with self.ordering:
                await self._change(order, settings_after(order, self.brain.settings))
        elif isinstance(order, Rollback):
            self._act(await self.rolling_back.to(order.to))
        else:
            if isinstance(order, Reconcile):
                await reconcile(self.brain.settings.name, order)
            self._act(self.brain.operate(order, workflow.now()))
        self.till.advance()
        self.story.tell(self.brain)
        return self.status()

    @operate.validator
    def _check_order(self, order: Order) -> None:
        self._refuse_while_draining()
        if isinstance(order, ApplySettings):
            check_change(self.brain.settings, order.settings, new_version=order.new_version)
        if isinstance(order, Rollback):
            check_rollback(self.brain.state, order.to)

    @workflow.signal
    def force_remote(self, order: ForceRemote | None = None) -> None:
        """Send everything to the remote model, until a time or until `resume`.

        An argument that is missing must not raise: a signal handler that fails holds up the task for good.
        """
        self._order(order or ForceRemote())

    @workflow.signal
    def resume(self) -> None:
        """End a forced remote."""
        self._order(Resume())

    @workflow.signal
    def pause_coaching(self, order: PauseCoaching | None = None) -> None:
        """Stop spot checks and fine-tunes, or start them again."""
        self._order(order or PauseCoaching())

    @workflow.signal
    def retrain(self) -> None:
        """Start a fine-tune now."""
        self._order(Retrain())

    @workflow.signal
    def fine_tuned(self, outcome: FineTuneOutcome | None = None) -> None:
        """A `FineTuneWorkflow` ended; repeats are dropped by its number."""
        if outcome is None:
            return
        self._act(self.brain.observe(outcome, workflow.now()))
        self.story.tell(self.brain)

    @workflow.update
    async def backfill(self, order: Backfill) -> Backfilled:
        """Have inputs answered in a batch, for training only.

        Sent again, those that were taken in are known. Raises `ApplicationError` of type NoBatches or RollingOver.
        """
        self.updates += 1
        try:
            taken = await self.batching.backfill(order)
        except ActivityError as error:
            raise named(error) from None
        self.till.advance()
        return taken

    @backfill.validator
    def _check_backfill(self, order: Backfill) -> None:
        self._refuse_while_draining()
        if not self.brain.settings.remote.batch:
            message = f"{self.brain.settings.name} runs without `remote.batch`"
            raise ApplicationError(message, type="NoBatches", non_retryable=True)
        for input in order.inputs:
            self._check_request(TaskRequest(request_id="backfill", task=self.brain.settings.name, input=input))

    @workflow.signal
    def batched(self, outcome: BatchOutcome | None = None) -> None:
        """A `BatchWorkflow` ended; repeats are dropped by its number."""
        if outcome is None:
            return
        self._act(self.brain.observe(outcome, workflow.now()))
        self.till.advance()
        self.story.tell(self.brain)

    @workflow.signal
    def granted(self, grant: Grant | None = None) -> None:
        """The budget for all tasks has answered a draw."""
        if grant is not None:
            self.till.granted(grant)

    @workflow.signal
    def recalled(self, recall: Recall | None = None) -> None:
        """The budget for all tasks wants back what is unused."""
        self.till.recalled(recall or Recall())

    @workflow.query
    def status(self) -> TaskStatus:
        """How the task stands now."""
        return self.brain.status(workflow.now())

    @workflow.query
    def history(self) -> list[HistoryPoint]:
        """The task's story, oldest first, at most 240 points."""
        return self.brain.state.history

    # --- carrying out ------------------------------------------------------------------------------------------

    def _compile(self) -> None:
        settings = self.brain.settings
        self.input_schema = compile_schema(settings.input_schema, settings.name)

    def _refuse_while_draining(self) -> None:
        if self.draining or self.changing:
            raise ApplicationError("the workflow is rolling over; send this again", type="RollingOver")

    async def _change(self, order: Order, settings: TaskSettings) -> None:
        """Go on with other settings. For other schemas, requests that came before are answered first."""
        budget = self.brain.settings.shared_budget
        try:
            if settings.schema_version != self.brain.settings.schema_version:
                self.changing = True
                await workflow.wait_condition(lambda: not self.in_flight)
            standing = await self._register(settings)
            self._act(self.brain.operate(order, workflow.now()))
            self.brain.digest = standing.settings_digest
            if self.changing:
                self.brain.resume_from(standing, workflow.now())
            self._compile()
        finally:
            self.changing = False
        if budget is not None and settings.shared_budget != budget:
            await self.till.leave(budget)

    async def _retire(self) -> None:
        """Give back what was granted and tell what is to be told. Requests that come meanwhile find no task."""
        if self.brain.settings.shared_budget is not None:
            await self.till.leave(self.brain.settings.shared_budget)
        await self.errands.delivered()

    def _order(self, order: Order) -> None:
        self._act(self.brain.operate(order, workflow.now()))
        self.story.tell(self.brain)

    def _act(self, actions: list[Action]) -> None:
        self.errands.take(actions)
        self.batching.take(actions)
        self.story.note(self.brain)

    async def _wait(self) -> None:
        """Until there is something to do, or the clock alone asks for it."""
        due = self.brain.next_due()
        timeout = max(due - workflow.now(), timedelta(0)) if due else None
        try:
            await workflow.wait_condition(
                lambda: self.errands.due() or self.batching.due() or self._ends() or self.brain.next_due() != due,
                timeout=timeout,
                timeout_summary="next by the clock",
            )
        except TimeoutError:
            self._act(self.brain.due(workflow.now()))
            self.story.tell(self.brain)

    def _quiet(self) -> bool:
        return workflow.all_handlers_finished() and self.batching.idle

    def _ends(self) -> bool:
        return self.brain.state.retired or self._rolls_over()

    def _rolls_over(self) -> bool:
        """At an idle moment once it is suggested; at the limits in any case, by refusing new requests."""
        info = workflow.info()
        if not info.is_continue_as_new_suggested() or self.errands.fine_tunes or self.digest is None:
            return False
        full = (
            info.get_current_history_length() >= self.events_a_run
            or info.get_current_history_size() >= BYTES_A_RUN
            or self.updates >= UPDATES_A_RUN
        )
        return full or not (self.in_flight or self.errands.asking or self.rolling_back.under_way)

    async def _register(self, settings: TaskSettings) -> Standing:
        standing = await workflow.execute_activity(
            contract.register_settings,
            settings,
            start_to_close_timeout=policies.PERSIST_TIMEOUT,
            retry_policy=policies.PERSIST,
            summary="settings",
        )
        if self.digest is None:
            self.brain.resume_from(standing, workflow.now())
            self.brain.digest = standing.settings_digest
        self.digest = standing.settings_digest
        return standing
