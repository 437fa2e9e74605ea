"""Collecting questions for batches: part of a task's brain."""

from datetime import datetime
from typing import NamedTuple

from apprentice import batching
from apprentice.accounting import Accounts, Room
from apprentice.messages import (
    Action,
    Answer,
    BatchOutcome,
    BatchQuestion,
    BatchRequest,
    Enqueue,
    StartBatch,
    TaskRequest,
)


class Asked(NamedTuple):
    """`room` is FREE if the question was taken in; else it says what keeps it out."""

    room: Room
    actions: list[Action]


class Collecting:
    """Over a task's accounts: their settings say how large a batch is, their state remembers it."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    def ask(
        self,
        request: TaskRequest,
        digest: str,
        now: datetime,
        *,
        local: Answer | None = None,
        propensity: float = 1.0,
        coaches: bool = False,
    ) -> Asked:
        """Take in a question, with its money; `digest` is of the settings as the store knows them."""
        batches, settings = self._accounts.state.batches, self._accounts.settings
        actions: list[Action] = []
        if batches.opened and not (batches.digest == digest and self._accounts.batch_goes_on(now)):
            actions.append(self._send(now))
        if not batches.opened:
            if not batches.has_place():
                return Asked(Room.IN_FLIGHT, actions)
            batches.open(digest, settings.schema_version, now)
        amount = self._accounts.fund_question(request, now, coaches=coaches)
        if isinstance(amount, Room):
            if not batches.size:
                batches.opened_at = None
            return Asked(amount, actions)
        batches.size, batches.bytes = batches.size + 1, batches.bytes + batching.length(request)
        question = BatchQuestion(
            request=request,
            batch=batches.number,
            schema_version=batches.schema_version,
            reserved=amount,
            local=local,
            propensity=propensity,
        )
        actions.append(Enqueue(question=question))
        if batches.full(settings):
            actions.append(self._send(now))
        return Asked(Room.FREE, actions)

    def due(self, now: datetime) -> list[Action]:
        """The batch that has been collected for long enough."""
        return [self._send(now)] if self._accounts.state.batches.due(self._accounts.settings, now) else []

    def next_due(self) -> datetime | None:
        """When there is something to do, by the clock alone."""
        return self._accounts.state.batches.next_due(self._accounts.settings)

    def lost(self, now: datetime) -> list[BatchOutcome]:
        """The outcomes of batches that will not tell theirs any more."""
        return [self.given_up(number, "it never ended") for number in self._accounts.state.batches.overdue(now)]

    def given_up(self, number: int, reason: str) -> BatchOutcome:
        """The outcome of a batch of which nobody knows anything: all of it counts as paid."""
        return BatchOutcome(
            number=number, schema_version=self._accounts.settings.schema_version, error=reason, lost=True
        )

    def drop(self) -> None:
        """Forget what was collected and not sent."""
        self._accounts.drop_batch()
        batches = self._accounts.state.batches
        batches.size, batches.bytes, batches.opened_at = 0, 0, None

    def retire(self, now: datetime) -> None:
        """The task ends: what was not sent is dropped, what was counts as paid. The journal learns the real price."""
        self.drop()
        under_way = self._accounts.state.batches.under_way
        while under_way:
            self._accounts.close_batch(self.given_up(under_way.popitem()[0], "the task was retired"), now)

    def _send(self, now: datetime) -> Action:
        batches, settings = self._accounts.state.batches, self._accounts.settings
        request = BatchRequest(
            task=settings.name,
            number=batches.number,
            settings_digest=batches.digest,
            schema_version=batches.schema_version,
            size=batches.size,
            window_size=settings.sampling.window_size,
        )
        batches.send(now)
        return StartBatch(request=request)
