"""The activity `compare`: how well a local answer agrees with the remote one, and the record of it."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.store import Store
from apprentice.evaluators import Evaluator, EvaluatorError, build
from apprentice.messages import CompareCall, Comparison
from apprentice.settings import TaskSettings

# A model's or a user's code may take long and runs in a thread; for the others the hop costs more than the work.
SLOW_EVALUATORS = {"semantic_similarity", "custom"}


class Scorer:
    """Evaluators, each built once for the settings that describe it."""

    def __init__(self) -> None:
        self._evaluators: dict[str, Evaluator] = {}

    async def score(self, settings: TaskSettings, local: dict[str, Any], remote: dict[str, Any]) -> float:
        """0..1. Raises EvaluatorError."""
        digest = settings.digest
        if digest not in self._evaluators:
            self._evaluators[digest] = build(settings)
        evaluator = self._evaluators[digest]
        if settings.evaluator in SLOW_EVALUATORS:
            return await asyncio.to_thread(evaluator, local, remote)
        return evaluator(local, remote)


class Compare:
    """Scores and stores; storing again changes nothing."""

    def __init__(self, store: Store, scorer: Scorer, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._scorer = scorer
        self._clock = clock

    @activity.defn(name="compare")
    async def compare(self, call: CompareCall) -> float:
        """Non-retryable error: EvaluatorError."""
        settings = await self._store.settings.get(call.settings_digest)
        try:
            score = await self._scorer.score(settings, call.local.output, call.remote.output)
        except EvaluatorError as error:
            raise ApplicationError(str(error), type="EvaluatorError", non_retryable=True) from error
        comparison = Comparison(
            score=score,
            propensity=call.propensity,
            confidence=call.local.confidence,
            version=call.local.version or 0,
        )
        local = call.local.output
        await self._store.comparisons.record(call.task, call.request_id, comparison, self._clock(), local)
        return score
