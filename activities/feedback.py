"""The activity `record_feedback`: what people say of answers is stored, and the answers are compared with it."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.comparing import Scorer
from activities.heartbeat import Heartbeater
from activities.store import Answers, ExampleKey, Given, SettingsUnknown, Store
from apprentice import gold, opinions
from apprentice.evaluators import EvaluatorError
from apprentice.messages import FeedbackCall, Label, Labelled, Verdict
from apprentice.schema import SchemaError, compile_schema
from apprentice.settings import TaskSettings


class RecordFeedback:
    """Storing a label again changes nothing."""

    def __init__(self, store: Store, scorer: Scorer, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._scorer = scorer
        self._clock = clock

    @activity.defn(name="record_feedback")
    async def record_feedback(self, call: FeedbackCall) -> Labelled:
        """A label that cannot be taken is a verdict with an `error`, and the others are taken.

        Errors: InvalidLabel (its output does not fit the schema), UnknownRequest, OtherSchema, EvaluatorError.

        Non-retryable error: SettingsUnknown.
        """
        try:
            settings = await self._store.settings.get(call.settings_digest)
        except SettingsUnknown as error:
            raise ApplicationError(str(error), type="SettingsUnknown", non_retryable=True) from None
        async with Heartbeater():
            verdicts = [await self._take(label, settings) for label in call.labels]
        labellings = await self._store.feedback.labellings(settings.name, settings.schema_version)
        return Labelled(verdicts=verdicts, gold=gold.tally(labellings, opinions.names(settings.remote)))

    async def _take(self, label: Label, settings: TaskSettings) -> Verdict:
        try:
            if label.output is not None:
                compile_schema(settings.output_schema, settings.name).validate(label.output)
        except SchemaError as error:
            return _refused(label, "InvalidLabel", f"has a label whose output does not fit: {error}")
        answers = await self._store.feedback.answers(settings.name, label.request_id)
        if answers is None or opinions.is_own(label.request_id):
            return _unknown(label, settings)
        try:
            given = await self._given(label, settings, answers)
        except SchemaError:
            return _refused(label, "OtherSchema", "was answered under another schema than the task has now")
        except EvaluatorError as error:
            return _refused(label, "EvaluatorError", f"cannot be compared: {error}")
        taken = await self._store.feedback.give(given, self._clock())
        return Verdict(
            request_id=label.request_id,
            served=given.served_score,
            teacher=given.teacher_score,
            local=given.local_score,
            audited=taken.audited,
            corrected=taken.corrected,
        )

    async def _given(self, label: Label, settings: TaskSettings, answers: Answers) -> Given:
        """Raises SchemaError for an answer that no longer fits, EvaluatorError."""
        schema = compile_schema(settings.output_schema, settings.name)
        if answers.schema_version not in (None, settings.schema_version):
            raise SchemaError([("", "other schema version")])
        served = schema.validate(answers.served.output)
        right = schema.validate(label.output) if label.output is not None else served if label.right else None
        both = answers.teacher is not None and answers.local is not None
        agreement = await self._score(settings, answers.local, answers.teacher) if both else None

        async def score(answer: dict[str, Any] | None) -> float | None:
            if answer is None:
                return None
            if right is not None:
                return await self._score(settings, answer, right)
            # All that is known is that the answer that was served is wrong: what is the same is wrong, too.
            same = answer == served or (agreement is not None and agreement >= gold.SAME)
            return 0.0 if same else None

        teacher_score = await score(answers.teacher)
        return Given(
            key=ExampleKey(settings.name, settings.schema_version, answers.input_hash),
            request_id=label.request_id,
            output=right,
            correct=label.right,
            refuted=answers.teacher if right is None and teacher_score is not None else None,
            teacher=answers.teacher_name,
            served_score=await score(served),
            teacher_score=teacher_score,
            local_score=await score(answers.local),
            agreement=agreement,
        )

    async def _score(
        self, settings: TaskSettings, answer: dict[str, Any] | None, right: dict[str, Any] | None
    ) -> float:
        assert answer is not None
        assert right is not None
        return await self._scorer.score(settings, answer, right)


def _unknown(label: Label, settings: TaskSettings) -> Verdict:
    words = f"is no answered request of {settings.name}, or was forgotten (`store.retention`)"
    return _refused(label, "UnknownRequest", words)


def _refused(label: Label, error: str, words: str) -> Verdict:
    return Verdict(request_id=label.request_id, error=error, message=f"request id {label.request_id!r} {words}")
