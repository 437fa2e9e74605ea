"""The activity `ask_remote`: one paid call, journaled, so that it is never paid twice and its answer never lost."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from decimal import Decimal

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities import contract
from activities.heartbeat import Heartbeater
from activities.remote.errors import InvalidAnswer, RateLimited, RemoteError, TimedOut, Unusable
from activities.remote.model import Question, RemoteModel
from activities.remote.pacing import Pacing, tokens_of
from activities.remote.registry import remote_model
from activities.store import (
    CallState,
    Example,
    Intent,
    RequestIdReused,
    Served,
    SettingsUnknown,
    Standing,
    Store,
    StoreError,
)
from apprentice import prompts
from apprentice.datasets import input_hash, split
from apprentice.messages import Answer, RemoteCall, Reply, Source
from apprentice.schema import SchemaError, compile_schema
from apprentice.settings import TaskSettings

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 1.0


class AskRemote:
    """Holds the store, a clock (aware times) and one remote model for each task settings."""

    def __init__(self, store: Store, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock
        self._models: dict[str, RemoteModel] = {}
        self._pacing = Pacing(store.paces, clock)

    @activity.defn
    async def ask_remote(self, call: RemoteCall) -> Reply:
        """Answer one request, from the journal if it was answered before.

        Raises ApplicationError: its type is the class of a `RemoteError`, or `OutcomeUnknown`, `RequestIdReused`,
        `SettingsUnknown`, `StoreError`; the detail of all that asked is {"charged": str}, the most that the call may
        have cost in this admission of the request, all attempts together.
        """
        try:
            # Beating all the while: one that waits for the store lives too, and must not be asked again meanwhile.
            async with Heartbeater():
                settings, model, intent, standing = await self._begin(call)
                if standing.served is not None:
                    if standing.charged:
                        raise _outcome_unknown(intent, standing.charged)
                    return _replay(standing.served, call)
                if standing.copied is not None:
                    return Reply(answer=standing.copied.answer, copied=True)
                if call.copy_of is not None:
                    raise await self._nothing_to_copy(call, intent, standing)
                return await self._ask(call, settings, model, intent, standing)
        except (RequestIdReused, SettingsUnknown) as refusal:
            raise ApplicationError(str(refusal), type=type(refusal).__name__, non_retryable=True) from None
        except RemoteError as error:
            raise _failure(error, error.cost if isinstance(error, Unusable) else Decimal(0)) from None

    async def _begin(self, call: RemoteCall) -> tuple[TaskSettings, RemoteModel, Intent, Standing]:
        try:
            settings = await self._store.settings.get(call.settings_digest)
            model = self._model(call.settings_digest, settings)
            intent = _intent(call, settings, self._clock())
            return settings, model, intent, await self._store.journal.intend(intent, self._clock())
        except (RequestIdReused, SettingsUnknown):
            raise
        except StoreError as error:
            raise _not_begun(error, call.reserved) from None

    async def _nothing_to_copy(self, call: RemoteCall, intent: Intent, standing: Standing) -> ApplicationError:
        """The other request's answer is gone, or of another schema: this one has to ask for itself."""
        if standing.state is None:
            await self._store.journal.failed(intent, "nothing to copy", self._clock())
        message = f"there is no answer of request {call.copy_of!r} to copy"
        return ApplicationError(message, {"charged": "0"}, type="NothingToCopy", non_retryable=True)

    async def _ask(
        self, call: RemoteCall, settings: TaskSettings, model: RemoteModel, intent: Intent, standing: Standing
    ) -> Reply:
        if standing.state is CallState.REJECTED:
            message = f"request {intent.request_id!r} was paid before, and not answered usably: {standing.error}"
            raise InvalidAnswer(message, standing.charged)
        if standing.state is CallState.INTENT and not model.idempotent:
            raise _outcome_unknown(intent, standing.charged)
        try:
            answer = await _attempt(self._pacing, call, settings, model, intent.idempotency_key)
        except Unusable as error:
            cost, why, text = error.cost, str(error), error.text
            await _outlast(lambda: self._store.journal.rejected(intent, cost, why, self._clock(), text))
            raise
        except RemoteError as error:
            # Only of a call that nobody had begun before is it certain that it cost nothing.
            if standing.state is None and not error.charged:
                why = str(error)
                await _outlast(lambda: self._store.journal.failed(intent, why, self._clock()))
            raise _failure(error, call.reserved if error.charged else standing.charged) from None
        now = self._clock()
        example = _example(call, settings, answer, intent, now)
        settled = await _outlast(lambda: self._store.journal.answered(intent, answer, example, now))
        return Reply(answer=settled.answer, example=settled.example)

    def _model(self, digest: str, settings: TaskSettings) -> RemoteModel:
        if digest not in self._models:
            self._models[digest] = remote_model(settings.remote, settings)
        return self._models[digest]


async def _outlast[T](write: Callable[[], Awaitable[T]]) -> T:
    """Write what became of a call, however long the store is away; the end of this attempt ends the waiting.

    Unwritten, the call would be one in doubt: its answer lost, and its price, if it had any, counted at the most.
    """
    pause = FIRST_PAUSE
    while True:
        try:
            return await write()
        except RequestIdReused:
            raise
        except StoreError as error:
            activity.logger.warning("the outcome of a paid call waits for the store: %s", error)
        await asyncio.sleep(pause)
        pause = min(LONGEST_PAUSE, pause * 2)


async def _attempt(pacing: Pacing, call: RemoteCall, settings: TaskSettings, model: RemoteModel, key: str) -> Answer:
    """One call in its turn and within the provider's time-out, its output checked. Raises RemoteError."""
    seconds, question = settings.remote.timeout_seconds, _question(call, settings, key)
    turn = await pacing(settings.remote, settings.name, tokens_of(question))
    try:
        async with asyncio.timeout(seconds):
            answer = await model.ask(question)
    except RateLimited as error:
        if error.retry_after:
            await pacing.slow_down(settings.remote, error.retry_after)
        raise
    except TimeoutError:
        raise TimedOut(f"{settings.remote.provider} model {settings.remote.model!r} took over {seconds:g} s") from None
    await pacing.settle(turn, answer.input_tokens + answer.output_tokens)
    try:
        output = compile_schema(settings.output_schema, settings.name).validate(answer.output)
    except SchemaError as problem:
        message = f"the answer to request {call.request.request_id!r} does not fit the output schema: {problem}"
        raise InvalidAnswer(message, answer.cost) from None
    return answer if output == answer.output else answer.model_copy(update={"output": output})


def _question(call: RemoteCall, settings: TaskSettings, key: str) -> Question:
    return Question(
        request=call.request,
        prompt=prompts.build(settings, call.request.input),
        key=key,
        limit=call.reserved,
        max_output_tokens=settings.remote.max_output_tokens,
    )


def _intent(call: RemoteCall, settings: TaskSettings, now: datetime) -> Intent:
    request, ttl = call.request, settings.cache.ttl
    # Providers limit the length of a key, and an id may say something about its request: so a hash of it.
    key = hashlib.sha256(f"{request.task}\n{request.request_id}\n{Source.REMOTE}".encode()).hexdigest()
    return Intent(
        task=request.task,
        request_id=request.request_id,
        input_hash=input_hash(request.input),
        admission=call.admission,
        provider=settings.remote.provider,
        model=settings.remote.model,
        idempotency_key=key,
        upper_bound=call.reserved,
        schema_version=call.schema_version,
        copy_of=call.copy_of,
        cached_since=None if ttl is None else now - ttl,
    )


def _example(call: RemoteCall, settings: TaskSettings, answer: Answer, intent: Intent, now: datetime) -> Example:
    return Example(
        task=intent.task,
        schema_version=call.schema_version,
        request_id=intent.request_id,
        input_hash=intent.input_hash,
        split=split(intent.input_hash, settings.holdout_salt, settings.local.holdout_fraction),
        input=call.request.input,
        output=answer.output,
        provider=answer.provider or intent.provider,
        model=answer.model,
        created_at=now,
        fair=call.fair,
        prompt_version=prompts.version(settings),
    )


def _replay(served: Served, call: RemoteCall) -> Reply:
    """What an earlier run wrote. One of the same admission never got to tell the workflow: to it, this is news."""
    news = served.admission == call.admission and served.answer.source is Source.REMOTE
    return Reply(
        answer=served.answer,
        example=served.example if news else None,
        replayed=not news,
        copied=news and call.copy_of is not None,
        degraded=served.degraded,
    )


def _failure(error: RemoteError, charged: Decimal) -> ApplicationError:
    wait = error.retry_after
    # Where a call may wait for its turn, Temporal would go on with it for minutes, whatever else is wrong.
    last = activity.info().attempt >= contract.ATTEMPTS and not isinstance(error, RateLimited)
    return ApplicationError(
        str(error),
        {"charged": str(charged)},
        type=type(error).__name__,
        non_retryable=last or not error.retryable,
        next_retry_delay=None if wait is None else timedelta(seconds=wait),
    )


def _not_begun(error: StoreError, reserved: Decimal) -> ApplicationError:
    """The store is away, and nothing is sent without an intent. Whether an earlier attempt sent something, is said by
    the number that it left in its last heartbeat: up to that attempt nothing was."""
    info = activity.info()
    untouched = info.attempt == 1 or list(info.heartbeat_details) == [info.attempt - 1]
    if untouched:
        activity.heartbeat(info.attempt)
    return ApplicationError(
        str(error),
        {"charged": "0" if untouched else str(reserved)},
        type="StoreError",
        non_retryable=info.attempt >= contract.ATTEMPTS,
    )


def _outcome_unknown(intent: Intent, charged: Decimal) -> ApplicationError:
    return ApplicationError(
        f"request {intent.request_id!r} was sent to {intent.provider} before and nobody knows what became of it; it is "
        "counted as paid and not sent again. Send it under a new request id if an answer is worth a second payment",
        {"charged": str(charged)},
        type="OutcomeUnknown",
        non_retryable=True,
    )
