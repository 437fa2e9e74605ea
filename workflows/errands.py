"""What the brain asks for besides answers: fine-tunes to start, second opinions to ask for, alerts to deliver.

The main loop sees to them.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, ChildWorkflowError, WorkflowAlreadyStartedError

from activities import contract
from apprentice.lifecycle import Lifecycle
from apprentice.messages import (
    Action,
    AskOpinion,
    FineTuneOutcome,
    FineTuneRequest,
    Opinion,
    OpinionCall,
    StartFineTune,
)
from workflows import policies
from workflows.burst import Burst
from workflows.failures import charged, named
from workflows.fine_tune import FineTuneWorkflow
from workflows.ids import fine_tune_id


class Errands:
    """Of one task. `fine_tuned` is told of a fine-tune that cannot tell its end itself.

    `asking` is how many second opinions are under way; `settled` is told when the money of one is.
    """

    def __init__(
        self,
        brain: Lifecycle,
        burst: Burst,
        fine_tuned: Callable[[FineTuneOutcome], None],
        settled: Callable[[], None],
    ) -> None:
        self.fine_tunes: list[FineTuneRequest] = []
        self.opinions: list[OpinionCall] = []
        self.asking = 0
        self._burst = burst
        self._settled = settled
        self._opinions: set[asyncio.Task[None]] = set()
        self._brain = brain
        self._fine_tuned = fine_tuned
        self._watched: list[asyncio.Task[None]] = []
        self._delivery: asyncio.Task[None] | None = None

    def take(self, actions: list[Action]) -> None:
        """Fine-tunes to start. Alerts are already in the state, held for delivery."""
        self.fine_tunes += [action.request for action in actions if isinstance(action, StartFineTune)]
        self.opinions += [action.call for action in actions if isinstance(action, AskOpinion)]

    def due(self) -> bool:
        """Whether there is something to do."""
        return bool(self.fine_tunes or self.opinions) or self._to_deliver()

    async def run(self) -> None:
        """Start the fine-tunes, ask for the opinions, begin to deliver."""
        await self.start_fine_tunes()
        self._ask_opinions()
        if self._to_deliver():
            self._delivery = asyncio.create_task(self._deliver())

    async def start_fine_tunes(self) -> None:
        """Each as a child that outlives this run."""
        while self.fine_tunes:
            request = self.fine_tunes[0]
            try:
                child = await workflow.start_child_workflow(
                    FineTuneWorkflow.run,
                    request,
                    id=fine_tune_id(request.task, request.number),
                    parent_close_policy=workflow.ParentClosePolicy.ABANDON,
                    static_summary=f"version {request.number}: {request.reason}",
                )
                self._watched.append(asyncio.create_task(self._watch(child, request.number)))
            except WorkflowAlreadyStartedError:  # by a life of this task that was ended by hand: its outcome is ours
                workflow.logger.warning("fine-tune %d of %s runs already", request.number, request.task)
            self.fine_tunes.pop(0)

    async def heard(self) -> None:
        """Until there is no opinion to ask for or to wait for: their money is set aside, and the next run would not
        know of them."""
        while self.opinions or self.asking:
            self._ask_opinions()
            await workflow.wait_condition(lambda: bool(self.opinions) or not self.asking)

    async def delivered(self) -> None:
        """Until the delivery that is under way has ended."""
        if self._delivery is not None:
            await self._delivery

    def _to_deliver(self) -> bool:
        return bool(self._brain.state.undelivered) and (self._delivery is None or self._delivery.done())

    def _ask_opinions(self) -> None:
        while self.opinions:
            self.asking += 1
            task = asyncio.create_task(self._ask_opinion(self.opinions.pop(0)))
            self._opinions.add(task)
            task.add_done_callback(self._opinions.discard)

    async def _ask_opinion(self, call: OpinionCall) -> None:
        asking = policies.asking(self._brain.settings.remote)
        await self._burst.wait(len(call.model_dump_json().encode()))
        try:
            opinion = await workflow.execute_activity(
                contract.second_opinion,
                call,
                start_to_close_timeout=asking.attempt,
                schedule_to_close_timeout=asking.all,
                heartbeat_timeout=policies.HEARTBEAT,
                retry_policy=policies.OPINION,
                summary="a second opinion",
            )
        except ActivityError as error:
            cost = charged(error, call.reserved)
            opinion = Opinion(request_id=call.opinion_id, error=named(error).type, cost=cost, in_doubt=cost)
        self.asking -= 1
        self.take(self._brain.observe(opinion, workflow.now()))
        self._settled()

    async def _watch(self, child: workflow.ChildWorkflowHandle[Any, Any], number: int) -> None:
        """A fine-tune tells its outcome itself, unless someone ends it by hand. (After a rollover: `overdue`.)"""
        try:
            await child
        except ChildWorkflowError as error:
            reason = f"its workflow ended early: {error.cause or error}"
            self._fine_tuned(FineTuneOutcome(number=number, promoted=False, reason=reason))

    async def _deliver(self) -> None:
        """Deliver what is undelivered, oldest first. A rollover cuts this off; the next run goes on."""
        undelivered = self._brain.state.undelivered
        while undelivered:
            alert = undelivered[0]
            try:
                await workflow.execute_activity(
                    contract.deliver_alert,
                    args=[self._brain.digest, alert],
                    start_to_close_timeout=policies.PERSIST_TIMEOUT,
                    schedule_to_close_timeout=policies.NOTIFY_FOR,
                    retry_policy=policies.NOTIFY,
                    summary=f"{alert.kind} alert",
                )
            except ActivityError:
                workflow.logger.warning("alert %s could not be delivered", alert.id)
            self._brain.state.delivered(alert)
            undelivered = self._brain.state.undelivered
