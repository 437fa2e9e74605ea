"""How a version answers the hold-out examples.

The embedded model answers all of them, one after the other, in this process. A server takes a second for each: it is
asked for the newest only, as many at a time as requests may be in flight there.
"""

import asyncio
from collections.abc import AsyncIterator

from activities.comparing import Scorer
from activities.local.model import BadAnswer, LocalModel
from activities.local.serving import LocalModels
from activities.store import Store
from activities.store.examples import Example
from apprentice.messages import Comparison, Split, ValidationRequest
from apprentice.settings import TaskSettings


class HoldOut:
    """Of all tasks."""

    def __init__(self, store: Store, models: LocalModels, scorer: Scorer) -> None:
        self._store = store
        self._models = models
        self._scorer = scorer

    async def comparisons(self, settings: TaskSettings, request: ValidationRequest, version: int) -> list[Comparison]:
        """In the order of the examples. Raises ModelUnavailable, ServerDown, ServerBusy, EvaluatorError.

        Only of fair examples: those bought because a model was unsure would make every version look worse.
        """
        model, local = self._models.of(settings), settings.local
        if local.backend == "embedded":
            return [await self._scored(settings, model, one, version) async for one in self._in_turn(request)]
        count = min(request.newest or local.validation_examples, local.validation_examples)
        examples = await self._store.examples.newest(request.dataset, Split.HOLDOUT, count)
        slots = asyncio.Semaphore(local.max_concurrent)

        async def ask(example: Example) -> Comparison:
            async with slots:
                return await self._scored(settings, model, example, version)

        asking = [asyncio.create_task(ask(example)) for example in examples]
        try:
            return await asyncio.gather(*asking)
        finally:
            for task in asking:
                task.cancel()

    async def _in_turn(self, request: ValidationRequest) -> AsyncIterator[Example]:
        if request.newest is not None:
            for example in await self._store.examples.newest(request.dataset, Split.HOLDOUT, request.newest):
                yield example
                await asyncio.sleep(0)
            return
        async for example in self._store.examples.read(request.dataset, Split.HOLDOUT):
            if example.fair:
                yield example
                # A model in this process never lets go of the loop, and callers are waiting.
                await asyncio.sleep(0)

    async def _scored(self, settings: TaskSettings, model: LocalModel, example: Example, version: int) -> Comparison:
        try:
            answer = await model.answer(example.input, version)
        except BadAnswer:  # the server is well, and what it wrote does not agree with the teacher
            return Comparison(score=0.0, version=version)
        score = await self._scorer.score(settings, answer.output, example.output)
        return Comparison(score=score, confidence=answer.confidence, version=version)
