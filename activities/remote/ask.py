"""The activity `ask_remote`: one paid call, journaled, so that it is never paid twice and its answer never lost.

Its providers are asked in order. The next one is asked where the one before certainly cost nothing; where that is in
doubt nobody else is, as that would be to pay twice.
"""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.heartbeat import Heartbeater
from activities.remote.asking import Teachers, question
from activities.remote.errors import InvalidAnswer, RemoteError, Unusable
from activities.remote.journaling import call_key, failure, not_begun, outcome_unknown, outlast, trouble
from activities.remote.pacing import Pacing, Turn
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
from apprentice import prompts, teachers
from apprentice.datasets import input_hash, split
from apprentice.duplicates import fingerprint
from apprentice.messages import Answer, RemoteCall, Reply, Source, Trouble
from apprentice.settings import ProviderSettings, TaskSettings


class AskRemote:
    """Holds the store, a clock (aware times) and the remote models of this process."""

    def __init__(self, store: Store, clock: Callable[[], datetime], models: Teachers | None = None) -> None:
        self._store = store
        self._clock = clock
        self._models = models or Teachers(pacing=Pacing(store.paces, clock))

    @activity.defn
    async def ask_remote(self, call: RemoteCall) -> Reply:
        """Answer one request, from the journal if it was answered before.

        Raises ApplicationError: its type is the class of a `RemoteError`, or `OutcomeUnknown`, `RequestIdReused`,
        `SettingsUnknown`, `StoreError`; the detail of all that asked is {"charged": str, "troubles": [...]}: the most
        that the call may have cost in this admission of the request, all attempts together, and each provider that
        could not answer, as `Trouble`.
        """
        try:
            # Beating all the while: one that waits for the store lives too, and must not be asked again meanwhile.
            async with Heartbeater():
                return await _Asking(self._store, self._clock, self._models, call).run()
        except (RequestIdReused, SettingsUnknown) as refusal:
            raise ApplicationError(str(refusal), type=type(refusal).__name__, non_retryable=True) from None
        except StoreError as error:
            raise not_begun(error, call.reserved) from None


class _Asking:
    """One attempt at one request. `failures` are of providers that certainly cost nothing in it."""

    def __init__(self, store: Store, clock: Callable[[], datetime], models: Teachers, call: RemoteCall) -> None:
        self._store = store
        self._clock = clock
        self._models = models
        self._call = call
        self._failures: list[tuple[ProviderSettings, RemoteError]] = []

    async def run(self) -> Reply:
        """Raises ApplicationError, StoreError."""
        self._settings = await self._store.settings.get(self._call.settings_digest)
        line = teachers.order(self._settings.remote, self._call.request.request_id)
        refusals = [(provider, self._models.refusal(provider)) for provider in line]
        # The journal is looked at in any case, so one is left even if none would be asked now.
        ready = [provider for provider, refusal in refusals if refusal is None] or line[:1]
        self._failures += [(provider, refusal) for provider, refusal in refusals if refusal and provider not in ready]
        for provider in ready:
            reply = await self._turn(provider, line)
            if reply is not None:
                return reply.model_copy(update={"troubles": self._troubles()})
        errors = [error for _, error in self._failures]
        raise self._failed(min(errors, key=lambda error: (not error.retryable, error.retry_after or 0.0)), Decimal(0))

    async def _turn(self, provider: ProviderSettings, line: list[ProviderSettings]) -> Reply | None:
        """What the journal knows, or the provider's answer; None if it certainly cost nothing and gave none."""
        intent = self._intent(provider)
        try:
            turn = await self._waited(provider, intent)
        except RemoteError as error:
            self._failures.append((provider, error))
            return None
        standing = await self._store.journal.intend(intent, self._clock())
        if standing.served is not None:
            if standing.charged:
                raise outcome_unknown(intent, standing.charged)
            return _replay(standing.served, self._call)
        if standing.copied is not None:
            return Reply(answer=standing.copied.answer, copied=True)
        if self._call.copy_of is not None:
            raise await self._nothing_to_copy(intent, standing)
        match standing.state:
            case CallState.REJECTED:
                message = f"request {intent.request_id!r} was paid before, and not answered usably: {standing.error}"
                raise self._failed(InvalidAnswer(message, standing.charged), standing.charged)
            case CallState.INTENT:
                return await self._once_more(line, intent, standing)
        try:
            return await self._paid(provider, intent, turn)
        except RemoteError as error:
            if error.charged:
                raise self._failed(error, self._call.reserved, provider) from None
            why = str(error)
            await outlast(lambda: self._store.journal.failed(intent, why, self._clock()))
            self._failures.append((provider, error))
            return None

    async def _waited(self, provider: ProviderSettings, intent: Intent) -> Turn | None:
        """A turn for a call that is to be made, before its intent: who dies in the line leaves no doubt behind.

        None where nobody waits. Raises RateLimited, InvalidRequest.
        """
        if not self._models.waits(provider) or not await self._store.journal.is_to_be_made(intent):
            return None
        asked = question(self._call.request, self._settings, provider, intent.idempotency_key, self._call.reserved)
        return await self._models.turn(provider, self._settings, asked)

    async def _once_more(self, line: list[ProviderSettings], intent: Intent, standing: Standing) -> Reply:
        """A call in doubt goes to no other provider, and to the same only if that bills a repeated key only once."""
        asked = next((provider for provider in line if self._key(provider) == standing.key), None)
        try:
            if asked is None or not self._models.model(asked, self._settings).idempotent:
                raise outcome_unknown(intent, standing.charged)
            return await self._paid(asked, self._intent(asked), again=True)
        except RemoteError as error:
            assert asked is not None
            charged = self._call.reserved if error.charged else standing.charged
            raise self._failed(error, charged, asked) from None

    async def _paid(
        self, provider: ProviderSettings, intent: Intent, turn: Turn | None = None, *, again: bool = False
    ) -> Reply:
        """Ask, and write down what was paid for. Raises RemoteError if nothing was, or nobody knows."""
        call, settings = self._call, self._settings
        asked = question(call.request, settings, provider, intent.idempotency_key, call.reserved)
        try:
            answer = await self._models.ask(provider, settings, asked, turn=turn, again=again)
        except Unusable as error:
            cost, why, text = error.cost, str(error), error.text
            await outlast(lambda: self._store.journal.rejected(intent, cost, why, self._clock(), text))
            raise self._failed(error, cost) from None
        now = self._clock()
        example = _example(call, settings, answer, intent, now)
        settled = await outlast(lambda: self._store.journal.answered(intent, answer, example, now))
        return Reply(answer=settled.answer, example=settled.example)

    async def _nothing_to_copy(self, intent: Intent, standing: Standing) -> ApplicationError:
        """The other request's answer is gone, or of another schema: this one has to ask for itself."""
        if standing.state is None:
            await self._store.journal.failed(intent, "nothing to copy", self._clock())
        message = f"there is no answer of request {self._call.copy_of!r} to copy"
        return ApplicationError(message, {"charged": "0"}, type="NothingToCopy", non_retryable=True)

    def _failed(self, error: RemoteError, charged: Decimal, by: ProviderSettings | None = None) -> ApplicationError:
        return failure(error, charged, [*self._troubles(), *([trouble(by, error)] if by else [])])

    def _troubles(self) -> list[Trouble]:
        return [trouble(provider, error) for provider, error in self._failures]

    def _key(self, provider: ProviderSettings) -> str:
        return call_key(self._call.request.task, self._call.request.request_id, provider)

    def _intent(self, provider: ProviderSettings) -> Intent:
        call, ttl = self._call, self._settings.cache.ttl
        return Intent(
            task=call.request.task,
            request_id=call.request.request_id,
            input_hash=input_hash(call.request.input),
            admission=call.admission,
            provider=provider.provider,
            model=provider.model,
            idempotency_key=self._key(provider),
            upper_bound=call.reserved,
            schema_version=call.schema_version,
            copy_of=call.copy_of,
            cached_since=None if ttl is None else self._clock() - ttl,
            reason=None if call.reason is None else call.reason.value,
            propensity=call.propensity,
        )


def _example(call: RemoteCall, settings: TaskSettings, answer: Answer, intent: Intent, now: datetime) -> Example:
    return Example(
        task=intent.task,
        schema_version=call.schema_version,
        request_id=intent.request_id,
        input_hash=intent.input_hash,
        split=split(fingerprint(call.request.input), settings.holdout_salt, settings.local.holdout_fraction),
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
