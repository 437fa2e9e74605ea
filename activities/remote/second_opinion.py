"""The activity `second_opinion`: a request that was answered is put to another remote model, and the answers compared.

Paid and journaled like any call, under an id of its own; it makes no example. Nobody waits for it: what fails, fails.
"""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.comparing import Scorer
from activities.heartbeat import Heartbeater
from activities.remote.asking import Teachers, question
from activities.remote.errors import RemoteError, Unusable
from activities.remote.journaling import call_key, not_begun, outlast, trouble
from activities.store import (
    CallState,
    ExampleKey,
    Intent,
    RequestIdReused,
    SettingsUnknown,
    Standing,
    Store,
    StoreError,
)
from apprentice import teachers
from apprentice.datasets import input_hash
from apprentice.evaluators import EvaluatorError
from apprentice.messages import Answer, Opinion, OpinionCall
from apprentice.settings import ProviderSettings, TaskSettings


class SecondOpinion:
    """Holds what `AskRemote` holds, and the evaluators."""

    def __init__(self, store: Store, clock: Callable[[], datetime], models: Teachers, scorer: Scorer) -> None:
        self._store = store
        self._clock = clock
        self._models = models
        self._scorer = scorer

    @activity.defn
    async def second_opinion(self, call: OpinionCall) -> Opinion:
        """What came of it; a model that cannot answer is no failure of the activity.

        Raises ApplicationError: `RequestIdReused`, `SettingsUnknown`, `StoreError`.
        """
        try:
            async with Heartbeater():
                settings = await self._store.settings.get(call.settings_digest)
                return await self._ask(call, settings)
        except (RequestIdReused, SettingsUnknown) as refusal:
            raise ApplicationError(str(refusal), type=type(refusal).__name__, non_retryable=True) from None
        except StoreError as error:
            raise not_begun(error, call.reserved) from None

    async def _ask(self, call: OpinionCall, settings: TaskSettings) -> Opinion:
        provider = _other(call, settings)
        if provider is None:
            return Opinion(request_id=call.opinion_id, error="NobodyElse")
        if (refusal := self._models.refusal(provider)) is not None:
            name, troubles = type(refusal).__name__, [trouble(provider, refusal)]
            return Opinion(request_id=call.opinion_id, error=name, troubles=troubles)
        intent = self._intent(call, provider)
        standing = await self._store.journal.intend(intent, self._clock())
        if standing.served is not None:
            known = standing.served
            paid = known.answer.cost if known.admission == call.admission else Decimal(0)
            answer = known.answer.model_copy(update={"cost": paid})
            return await self._compared(call, settings, provider, answer)
        if standing.state is CallState.REJECTED:
            return Opinion(request_id=call.opinion_id, error="InvalidAnswer", cost=standing.charged)
        if standing.state is CallState.INTENT and not self._asks_again(intent, standing, provider, settings):
            charged = standing.charged
            return Opinion(request_id=call.opinion_id, error="OutcomeUnknown", cost=charged, in_doubt=charged)
        try:
            asked = question(call.request, settings, provider, intent.idempotency_key, call.reserved)
            answer = await self._models.ask(provider, settings, asked, again=standing.state is CallState.INTENT)
        except RemoteError as error:
            return await self._failed(call, intent, standing, provider, error)
        now = self._clock()
        settled = await outlast(lambda: self._store.journal.answered(intent, answer, None, now))
        return await self._compared(call, settings, provider, settled.answer)

    async def _compared(
        self, call: OpinionCall, settings: TaskSettings, provider: ProviderSettings, answer: Answer
    ) -> Opinion:
        names = {"provider": provider.provider, "model": provider.model}
        opinion = Opinion(request_id=call.opinion_id, cost=answer.cost, **names)
        try:
            score = await self._scorer.score(settings, answer.output, call.answer.output)
        except EvaluatorError:
            return opinion.model_copy(update={"error": "EvaluatorError"})
        first, second = f"{call.answer.provider} {call.answer.model}", f"{provider.provider} {provider.model}"
        task, request_id, now = call.request.task, call.request.request_id, self._clock()
        example = ExampleKey(task, settings.schema_version, input_hash(call.request.input))
        await outlast(lambda: self._store.opinions.record(task, request_id, first, second, score, now, example))
        return opinion.model_copy(update={"score": score})

    async def _failed(
        self, call: OpinionCall, intent: Intent, standing: Standing, provider: ProviderSettings, error: RemoteError
    ) -> Opinion:
        opinion, why, journal = Opinion(request_id=call.opinion_id, error=type(error).__name__), str(error), self._store
        if isinstance(error, Unusable):
            cost, text = error.cost, error.text
            await outlast(lambda: journal.journal.rejected(intent, cost, why, self._clock(), text))
            return opinion.model_copy(update={"cost": cost})
        opinion = opinion.model_copy(update={"troubles": [trouble(provider, error)]})
        if standing.state is None and not error.charged:
            await outlast(lambda: journal.journal.failed(intent, why, self._clock()))
            return opinion
        cost = call.reserved if error.charged else standing.charged
        return opinion.model_copy(update={"cost": cost, "in_doubt": cost})

    def _asks_again(
        self, intent: Intent, standing: Standing, provider: ProviderSettings, settings: TaskSettings
    ) -> bool:
        try:
            return standing.key == intent.idempotency_key and self._models.model(provider, settings).idempotent
        except RemoteError:
            return False

    def _intent(self, call: OpinionCall, provider: ProviderSettings) -> Intent:
        """Without a schema version: no other request is ever given this answer."""
        return Intent(
            task=call.request.task,
            request_id=call.opinion_id,
            input_hash=input_hash(call.request.input),
            admission=call.admission,
            provider=provider.provider,
            model=provider.model,
            idempotency_key=call_key(call.request.task, call.opinion_id, provider),
            upper_bound=call.reserved,
        )


def _other(call: OpinionCall, settings: TaskSettings) -> ProviderSettings | None:
    """The next in order who did not give the answer."""
    line = teachers.order(settings.remote, call.request.request_id)
    return next((one for one in line if (one.provider, one.model) != (call.answer.provider, call.answer.model)), None)
