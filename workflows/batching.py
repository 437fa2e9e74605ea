"""A task's side of batches: questions are put into the store, and a workflow is started for each batch."""

import asyncio
from collections.abc import Callable
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, ChildWorkflowError, WorkflowAlreadyStartedError

from activities import contract
from apprentice.accounting import Room
from apprentice.datasets import input_hash
from apprentice.lifecycle import Lifecycle
from apprentice.messages import (
    Action,
    Backfill,
    Backfilled,
    BatchOutcome,
    BatchQuestion,
    BatchRequest,
    Enqueue,
    KnownInputs,
    StartBatch,
    TaskRequest,
)
from workflows import policies
from workflows.batch import BatchWorkflow
from workflows.burst import Burst
from workflows.ids import batch_id

# Questions that go to the store together: within the largest payload, beside others.
QUESTIONS_AT_ONCE, BYTES_AT_ONCE = 50, 256 * 1024


class Batching:
    """Of one task. `batched` is told of a batch that cannot tell its end itself."""

    def __init__(self, brain: Lifecycle, burst: Burst, batched: Callable[[BatchOutcome], None]) -> None:
        self._brain = brain
        self._burst = burst
        self._batched = batched
        self._unwritten: list[BatchQuestion] = []
        self._starts: list[BatchRequest] = []
        self._writing: asyncio.Task[None] | None = None
        self._watched: list[asyncio.Task[None]] = []

    def take(self, actions: list[Action]) -> None:
        """Questions to keep, batches to start."""
        self._unwritten += [action.question for action in actions if isinstance(action, Enqueue)]
        self._starts += [action.request for action in actions if isinstance(action, StartBatch)]
        if self._unwritten and (self._writing is None or self._writing.done()):
            self._writing = asyncio.create_task(self._write())

    def due(self) -> bool:
        """Whether a batch can be started: all its questions are in the store."""
        return bool(self._starts) and not self._waits(self._starts[0])

    @property
    def idle(self) -> bool:
        """Whether nothing is left that only this run knows of."""
        return not self._unwritten and not self._starts

    async def start(self) -> None:
        """Each batch as a child that outlives this run."""
        while self.due():
            request = self._starts[0]
            try:
                child = await workflow.start_child_workflow(
                    BatchWorkflow.run,
                    request,
                    id=batch_id(request.task, request.number),
                    parent_close_policy=workflow.ParentClosePolicy.ABANDON,
                    static_summary=f"batch {request.number}: {request.size} questions",
                )
                self._watched.append(asyncio.create_task(self._watch(child, request.number)))
            except WorkflowAlreadyStartedError:  # by a life of this task that was ended by hand
                workflow.logger.warning("batch %d of %s runs already", request.number, request.task)
            self._starts.pop(0)

    async def backfill(self, order: Backfill) -> Backfilled:
        """Take in the inputs that are not known yet, as far as a cap has room for them."""
        hashes = [input_hash(input) for input in order.inputs]
        known = set(await self._known(sorted(set(hashes))))
        queued = refused = 0
        room = Room.FREE
        for input, hashed in zip(order.inputs, hashes, strict=True):
            if hashed in known:
                continue
            known.add(hashed)
            asked = self._brain.backfill(self._request(input, hashed), workflow.now())
            self.take(asked.actions)
            queued, refused = queued + (asked.room is Room.FREE), refused + (asked.room is not Room.FREE)
            room = asked.room if asked.room is not Room.FREE else room
        return Backfilled(
            queued=queued,
            known=len(order.inputs) - queued - refused,
            refused=refused,
            why="" if room is Room.FREE else _WHY[room],
        )

    def _request(self, input: dict[str, Any], hashed: str) -> TaskRequest:
        """The same input has the same id, so that it is paid for once; under another schema it is another question."""
        settings = self._brain.settings
        request_id = f"backfill-{settings.schema_version}-{hashed[:32]}"
        return TaskRequest(request_id=request_id, task=settings.name, input=input)

    async def _known(self, hashes: list[str]) -> list[str]:
        settings = self._brain.settings
        query = KnownInputs(task=settings.name, schema_version=settings.schema_version, hashes=hashes)
        await self._burst.wait(len(query.model_dump_json().encode()))
        return await workflow.execute_activity(
            contract.known_inputs,
            query,
            start_to_close_timeout=policies.PERSIST_TIMEOUT,
            retry_policy=policies.PERSIST,
            summary="which inputs are new",
        )

    def _waits(self, request: BatchRequest) -> bool:
        return any(question.batch <= request.number for question in self._unwritten)

    async def _write(self) -> None:
        while self._unwritten:
            part, size = self._next_part()
            await self._burst.wait(size)
            try:
                await workflow.execute_activity(
                    contract.keep_questions,
                    part,
                    start_to_close_timeout=policies.PERSIST_TIMEOUT,
                    retry_policy=policies.PERSIST,
                    summary=f"{len(part)} questions nobody waits for",
                )
            except ActivityError as error:  # they are missing in their batch: what is left of its money comes back then
                workflow.logger.warning("questions of a batch could not be kept: %s", error.cause or error)
            del self._unwritten[: len(part)]

    def _next_part(self) -> tuple[list[BatchQuestion], int]:
        part: list[BatchQuestion] = []
        size = 0
        for question in self._unwritten[:QUESTIONS_AT_ONCE]:
            length = len(question.model_dump_json().encode())
            if part and size + length > BYTES_AT_ONCE:
                break
            part, size = [*part, question], size + length
        return part, size

    async def _watch(self, child: workflow.ChildWorkflowHandle[Any, Any], number: int) -> None:
        """A batch tells its outcome itself, unless someone ends it by hand. (After a rollover: `lost`.)"""
        try:
            await child
        except ChildWorkflowError as error:
            reason = f"its workflow ended early: {error.cause or error}"
            self._batched(self._brain.collecting.given_up(number, reason))


_WHY = {
    Room.NONE: "a cap has no room for it",
    Room.IN_FLIGHT: "a cap has no room for it until calls in flight are settled",
    Room.NOT_GRANTED: "the budget for all tasks has not granted it yet",
}
