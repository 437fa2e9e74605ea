"""What becomes of one question of a batch: in the journal, in the data set, beside the answer that was served."""

import hashlib
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

from temporalio import activity

from activities.comparing import Scorer
from activities.remote.batches.api import BatchApi
from activities.remote.errors import InvalidAnswer, RemoteError, Unusable
from activities.store import Example, Intent, Question, QuestionState, Store
from apprentice import prompts
from apprentice.accounting import UNKNOWN_KEPT
from apprentice.datasets import split
from apprentice.duplicates import fingerprint
from apprentice.evaluators import EvaluatorError
from apprentice.messages import Answer, BatchOutcome, BatchRequest, Comparison, Source, Split
from apprentice.prompts import answer_text
from apprentice.schema import SchemaError, compile_schema
from apprentice.settings import TaskSettings

NOT_ANSWERED = "the batch ended without an answer to it"


class Settling:
    """For one batch, `admission`."""

    def __init__(
        self, store: Store, scorer: Scorer, clock: Callable[[], datetime], settings: TaskSettings, admission: str
    ) -> None:
        self._store = store
        self._scorer = scorer
        self._clock = clock
        self._settings = settings
        self._admission = admission

    def intent(self, question: Question) -> Intent:
        """Of the paid call that this question is."""
        return Intent(
            task=question.task,
            request_id=question.request_id,
            input_hash=question.input_hash,
            admission=self._admission,
            provider=self._settings.remote.provider,
            model=self._settings.remote.model,
            idempotency_key=key_of(question),
            upper_bound=question.reserved,
            schema_version=question.schema_version,
        )

    async def answered(self, question: Question, response: Any, api: BatchApi) -> None:
        """The provider said something: an answer, or why there is none."""
        if isinstance(response, RemoteError):
            await self._failed(question, str(response))
            return
        try:
            answer = self._checked(api.answer(response, question.reserved))
        except Unusable as error:
            why, cost, text = str(error), error.cost, error.text
            await self._store.journal.rejected(self.intent(question), cost, why, self._clock(), text)
            await self._store.batches.ended(question, QuestionState.REJECTED, cost=cost)
            return
        except RemoteError as error:  # it says that it failed, and was billed for nothing
            await self._failed(question, str(error))
            return
        try:
            example = self._example(question, answer)
            settled = await self._store.journal.answered(self.intent(question), answer, example, self._clock())
        except LookupError:  # an operator has reconciled the call meanwhile: that is the last word
            await self._store.batches.ended(question, QuestionState.REJECTED, cost=answer.cost)
            return
        score = await self._score(question, settled.answer)
        await self._store.batches.ended(
            question, QuestionState.ANSWERED, cost=answer.cost, score=score, example=settled.example
        )

    async def unanswered(self, question: Question, *, fetched: bool) -> None:
        """Of one that is not among the results, if they were `fetched`; else of all."""
        if fetched or not await self._store.journal.is_in_doubt(self.intent(question)):
            await self._failed(question, NOT_ANSWERED)
        else:
            await self._store.batches.ended(question, QuestionState.DOUBT)

    async def never_sent(self, questions: list[Question], why: str) -> None:
        """It is certain that nothing left us: there is no call in doubt, and another attempt begins anew."""
        for question in questions:
            await self._store.journal.failed(self.intent(question), why, self._clock())

    def outcome(self, request: BatchRequest, questions: list[Question]) -> BatchOutcome:
        """All together, of questions that have ended."""
        doubts = {q.request_id: q.reserved for q in questions if q.state is QuestionState.DOUBT}
        named = dict(list(doubts.items())[:UNKNOWN_KEPT])
        compared = [
            Comparison(
                score=question.score,
                propensity=question.propensity,
                confidence=question.local.confidence,
                version=question.local.version or 0,
            )
            for question in questions
            if question.score is not None and question.local is not None
        ]
        return BatchOutcome(
            number=request.number,
            schema_version=request.schema_version,
            answered=sum(q.state is QuestionState.ANSWERED for q in questions),
            unusable=sum(q.state is QuestionState.REJECTED for q in questions),
            failed=sum(q.state in (QuestionState.FAILED, QuestionState.DOUBT) for q in questions),
            cost=sum((q.cost for q in questions if q.cost), Decimal(0)),
            in_doubt=named,
            in_doubt_besides=sum(doubts.values(), Decimal(0)) - sum(named.values(), Decimal(0)),
            examples=sum(q.example is not None for q in questions),
            holdout=sum(q.example is Split.HOLDOUT for q in questions),
            comparisons=compared[-request.window_size :],
        )

    async def _failed(self, question: Question, why: str) -> None:
        await self._store.journal.failed(self.intent(question), why, self._clock())
        await self._store.batches.ended(question, QuestionState.FAILED)

    async def _score(self, question: Question, answer: Answer) -> float | None:
        """None where there is nothing to compare, or if the evaluator failed: the answer is an example all the same."""
        local = question.local
        if local is None:
            return None
        try:
            score = await self._scorer.score(self._settings, local.output, answer.output)
        except EvaluatorError as error:
            activity.logger.warning("no score for request %s: %s", question.request_id, error)
            return None
        comparison = Comparison(
            score=score, propensity=question.propensity, confidence=local.confidence, version=local.version or 0
        )
        await self._store.comparisons.record(question.task, question.request_id, comparison, self._clock())
        return score

    def _checked(self, answer: Answer) -> Answer:
        """Raises InvalidAnswer for an output that does not fit the schema."""
        schema = compile_schema(self._settings.output_schema, self._settings.name)
        try:
            output = schema.validate(answer.output)
        except SchemaError as problem:
            why = f"an answer of a batch does not fit the output schema: {schema.told(problem)}"
            raise InvalidAnswer(why, answer.cost, answer_text(answer.output)) from None
        return answer if output == answer.output else answer.model_copy(update={"output": output})

    def _example(self, question: Question, answer: Answer) -> Example:
        remote, local = self._settings.remote, self._settings.local
        return Example(
            task=question.task,
            schema_version=question.schema_version,
            request_id=question.request_id,
            input_hash=question.input_hash,
            split=split(fingerprint(question.input), self._settings.holdout_salt, local.holdout_fraction),
            input=question.input,
            output=answer.output,
            provider=answer.provider or remote.provider,
            model=answer.model,
            created_at=self._clock(),
            prompt_version=prompts.version(self._settings),
        )


def key_of(question: Question) -> str:
    """The idempotency key of the request's remote call, as `ask_remote` has it; 64 hex digits."""
    return hashlib.sha256(f"{question.task}\n{question.request_id}\n{Source.REMOTE}".encode()).hexdigest()
