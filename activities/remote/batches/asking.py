"""The activities of a batch: its questions kept, sent once, looked after, collected. Each may be run again."""

import asyncio
import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.comparing import Scorer
from activities.heartbeat import Heartbeater
from activities.remote.batches.api import BatchApi, Sending, Undecided
from activities.remote.batches.registry import batch_api
from activities.remote.batches.settling import Settling, key_of
from activities.remote.errors import InvalidRequest, RemoteError
from activities.remote.model import Question as Prompted
from activities.store import CallState, Question, QuestionState, SettingsUnknown, Store
from apprentice import prompts
from apprentice.datasets import input_hash
from apprentice.messages import BatchOutcome, BatchProgress, BatchQuestion, BatchRequest, KnownInputs
from apprentice.settings import TaskSettings

# Intents that are written in one transaction: requests wait for the store meanwhile.
AT_ONCE = 100
LOOK_AGAIN_SECONDS = 60.0


class AskBatches:
    """Holds the store, a clock (aware times) and one batch API for each task settings."""

    def __init__(self, store: Store, scorer: Scorer, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._scorer = scorer
        self._clock = clock
        self._apis: dict[str, BatchApi] = {}

    @activity.defn
    async def keep_questions(self, questions: list[BatchQuestion]) -> None:
        """Kept already: nothing happens."""
        await self._store.batches.put([_kept(question) for question in questions], self._clock())

    @activity.defn
    async def known_inputs(self, query: KnownInputs) -> list[str]:
        """In the order in which they were asked for."""
        known = await self._store.batches.known(query.task, query.schema_version, query.hashes)
        return [hashed for hashed in query.hashes if hashed in known]

    @activity.defn
    async def submit_batch(self, request: BatchRequest) -> str:
        """An intent for each question first. One that was sent before and lost its name is found again, not sent again.

        Raises ApplicationError: its type is the class of a `RemoteError`, or SettingsUnknown.
        """
        async with Heartbeater():
            settings, api = await self._begin(request)
            questions = await self._store.batches.all(request.task, request.number)
            if sent := next((question.provider_batch for question in questions if question.provider_batch), None):
                return sent
            settling = self._settling(settings)
            ours, before = await self._intend(questions, settling)
            if not ours:
                return ""
            sending = await self._sending(settings, ours)
            try:
                id = await api.find(sending) if before else None
                before = False
                if id is None:
                    id = await api.submit(sending)
            except RemoteError as error:
                if not error.charged and not before:
                    await settling.never_sent(ours, str(error))
                raise _failure(error) from None
            await self._store.batches.sent(request.task, request.number, id)
            return id

    @activity.defn
    async def look_batch(self, request: BatchRequest, id: str) -> BatchProgress:
        """Raises ApplicationError as `submit_batch`."""
        async with Heartbeater():
            _, api = await self._begin(request)
            try:
                state = await api.look(id)
            except RemoteError as error:
                raise _failure(error) from None
            return BatchProgress(done=state.done, failed=state.failed or "")

    @activity.defn
    async def cancel_batch(self, request: BatchRequest, id: str) -> None:
        """Raises ApplicationError as `submit_batch`."""
        async with Heartbeater():
            _, api = await self._begin(request)
            try:
                await api.cancel(id)
            except RemoteError as error:
                raise _failure(error) from None

    @activity.defn
    async def collect_batch(self, request: BatchRequest, id: str) -> BatchOutcome:
        """What was written down before a crash stays; the rest is read again. Raises ApplicationError as above."""
        async with Heartbeater():
            settings = await self._settings(request)
            settling = self._settling(settings)
            questions = await self._store.batches.all(request.task, request.number)
            left = {key_of(question): question for question in questions if not question.state.ended}
            if left and id:
                await self._fetch(settings, self._api(request, settings), id, left, settling)
            for question in left.values():
                await settling.unanswered(question, fetched=bool(id))
            return settling.outcome(request, await self._store.batches.all(request.task, request.number))

    @activity.defn
    async def clear_batch(self, task: str, number: int) -> None:
        """The journal has it all."""
        await self._store.batches.clear(task, number)

    async def _begin(self, request: BatchRequest) -> tuple[TaskSettings, BatchApi]:
        settings = await self._settings(request)
        return settings, self._api(request, settings)

    async def _settings(self, request: BatchRequest) -> TaskSettings:
        try:
            return await self._store.settings.get(request.settings_digest)
        except SettingsUnknown as refusal:
            raise ApplicationError(str(refusal), type="SettingsUnknown", non_retryable=True) from None

    def _api(self, request: BatchRequest, settings: TaskSettings) -> BatchApi:
        try:
            if request.settings_digest not in self._apis:
                self._apis[request.settings_digest] = batch_api(settings.remote, settings)
        except InvalidRequest as error:
            raise _failure(error) from None
        return self._apis[request.settings_digest]

    def _settling(self, settings: TaskSettings) -> Settling:
        admission = activity.info().workflow_run_id or ""
        return Settling(self._store, self._scorer, self._clock, settings, admission)

    async def _intend(self, questions: list[Question], settling: Settling) -> tuple[list[Question], bool]:
        """Those that are ours to ask, and whether an earlier attempt may have sent them. The others are done with."""
        ours, before = [], False
        waiting = [question for question in questions if question.state is QuestionState.WAITING]
        for start in range(0, len(waiting), AT_ONCE):
            part = waiting[start : start + AT_ONCE]
            intents = [settling.intent(question) for question in part]
            standings = await self._store.journal.intend_beside(intents, self._clock())
            for question, standing in zip(part, standings, strict=True):
                if standing.error is None and standing.state in (None, CallState.INTENT):
                    ours.append(question)
                    before = before or standing.state is CallState.INTENT
                else:
                    await self._store.batches.ended(question, QuestionState.FAILED)
        return ours, before

    async def _sending(self, settings: TaskSettings, ours: list[Question]) -> Sending:
        info = activity.info()
        prompted = await asyncio.to_thread(_prompted, settings, ours)
        return Sending(
            marker=hashlib.sha256(f"{info.workflow_id}\n{info.workflow_run_id}".encode()).hexdigest(),
            questions=prompted,
            begun=info.scheduled_time,
            taken=frozenset(await self._store.batches.taken()),
        )

    async def _fetch(
        self, settings: TaskSettings, api: BatchApi, id: str, left: dict[str, Question], settling: Settling
    ) -> None:
        """Takes out of `left` what the provider answered. Of a batch that goes on, nobody knows what it will cost."""
        prompted = await asyncio.to_thread(_prompted, settings, list(left.values()))
        try:
            if not (await api.look(id)).done:
                raise Undecided("the batch was to be cancelled, and still goes on", LOOK_AGAIN_SECONDS)
            async for key, response in api.results(id, prompted):
                question = left.pop(key, None)
                if question is not None:
                    await settling.answered(question, response, api)
        except RemoteError as error:
            raise _failure(error) from None


def _kept(question: BatchQuestion) -> Question:
    return Question(
        task=question.request.task,
        request_id=question.request.request_id,
        batch=question.batch,
        schema_version=question.schema_version,
        input_hash=input_hash(question.request.input),
        input=question.request.input,
        local=question.local,
        propensity=question.propensity,
        reserved=question.reserved,
    )


def _prompted(settings: TaskSettings, questions: list[Question]) -> list[Prompted]:
    return [
        Prompted(
            request=question.request,
            prompt=prompts.build(settings, question.input),
            key=key_of(question),
            limit=question.reserved,
            max_output_tokens=settings.remote.max_output_tokens,
        )
        for question in questions
    ]


def _failure(error: RemoteError) -> ApplicationError:
    wait = error.retry_after
    return ApplicationError(
        str(error),
        type=type(error).__name__,
        non_retryable=not error.retryable,
        next_retry_delay=None if wait is None else timedelta(seconds=wait),
    )
