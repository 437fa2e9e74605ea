"""The activity `ask_local`: the local model's answer, remembered when it is final."""

from collections.abc import Callable
from datetime import datetime

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.heartbeat import Heartbeater
from activities.local.familiarity import Familiarity
from activities.local.model import LocalError
from activities.local.serving import LocalModels
from activities.store import RequestIdReused, Served, Store
from apprentice.datasets import input_hash
from apprentice.messages import LocalCall, Reply, Source


class AskLocal:
    """Answers from memory first: a request id that was served before gets that answer again."""

    def __init__(self, store: Store, models: LocalModels, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._models = models
        self._familiarity = Familiarity()
        self._clock = clock

    @activity.defn(name="ask_local")
    async def ask_local(self, call: LocalCall) -> Reply:
        """Non-retryable errors: ModelUnavailable, ServerDown, ServerBusy, BadAnswer, RequestIdReused."""
        try:
            # Beats until the end: only a dead worker is to be missed, not a slow model or a store that takes its time.
            async with Heartbeater():
                return await self._reply(call)
        except (LocalError, RequestIdReused) as error:
            raise ApplicationError(str(error), type=type(error).__name__, non_retryable=True) from error

    async def _reply(self, call: LocalCall) -> Reply:
        request, hashed = call.request, input_hash(call.request.input)
        served = await self._store.journal.served(request.task, request.request_id)
        if served is not None and not _beside(served, call):
            if served.input_hash != hashed:
                raise RequestIdReused(request.task, request.request_id)
            replayed = served.admission != call.admission
            return Reply(answer=served.answer, replayed=replayed, degraded=served.degraded)
        settings = await self._store.settings.get(call.settings_digest)
        answer = await self._models.of(settings).answer(request.input, call.version)
        novelty = await self._familiarity.novelty(settings, call.version, request.input)
        answer = answer.model_copy(update={"novelty": novelty})
        degraded = call.degraded or (answer.confidence or 0.0) < call.proven
        if call.serves and (answer.confidence or 0.0) >= call.defer_below:
            written = await self._store.journal.served_locally(
                *(request.task, request.request_id, hashed, answer, degraded, self._clock(), call.admission),
                reason=None if call.reason is None else call.reason.value,
                propensity=call.propensity,
            )
            answer = written.answer
        return Reply(answer=answer, degraded=degraded)


def _beside(served: Served, call: LocalCall) -> bool:
    """Whether that is the remote answer of this very admission: it was asked beside us, to be compared with ours."""
    return served.admission == call.admission and served.answer.source is Source.REMOTE
