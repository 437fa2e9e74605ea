"""Batches of the models that stand in for others (`simulated`, `recorded`): done after `simulation.batch_seconds`."""

import time
from collections.abc import AsyncIterator, Callable, Sequence
from decimal import Decimal
from typing import Any

from activities.remote.batches.api import BatchState, Sending
from activities.remote.errors import RemoteError
from activities.remote.http_model import known_price
from activities.remote.model import Question, RemoteModel
from apprentice import prices
from apprentice.messages import Answer
from apprentice.settings import ProviderSettings


class StandInBatches:
    """Nothing is kept anywhere: a batch's name says when it was sent, and its answers are made when they are read."""

    def __init__(self, provider: ProviderSettings, model: RemoteModel, clock: Callable[[], float] = time.time) -> None:
        self._seconds = provider.simulation.batch_seconds
        self._model = model
        self._price = known_price(provider)
        self._clock = clock

    async def submit(self, sending: Sending) -> str:
        return f"batch-{sending.marker[:16]}-{self._clock():.3f}"

    async def find(self, sending: Sending) -> str | None:
        """None: one that is sent twice costs nothing twice."""
        return None

    async def look(self, id: str) -> BatchState:
        return BatchState(done=self._clock() >= float(id.rpartition("-")[2]) + self._seconds)

    async def cancel(self, id: str) -> None:
        """It is done soon enough."""

    async def results(self, id: str, questions: Sequence[Question]) -> AsyncIterator[tuple[str, Any]]:
        for question in questions:
            try:
                yield question.key, await self._model.ask(question)
            except RemoteError as error:
                yield question.key, error

    def answer(self, response: Any, limit: Decimal) -> Answer:
        usage = prices.Usage(response.input_tokens, response.output_tokens)
        cost = prices.cost(self._price, usage, batch=True)
        whole: Answer = response
        return whole.model_copy(update={"cost": cost})
