"""The activity `record_feedback`: answers are compared with what a person says."""

import math
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.comparing import Scorer
from activities.feedback import RecordFeedback
from activities.store import Example, Intent, Store
from apprentice.datasets import input_hash
from apprentice.messages import Answer, Comparison, FeedbackCall, Label, Labelled, Source, Split
from apprentice.settings import Price, TaskSettings

NOW = datetime(2026, 3, 1, tzinfo=UTC)
PRICE = Price.model_validate({"per_request": "0.01"})


class Desk:
    """Requests of one task in a store, and a person who looks at them."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.settings = TaskSettings.model_validate(
            {
                "name": "tickets",
                "input_schema": {"text": "str"},
                "output_schema": {"category": ["a", "b", "c"], "priority": "int"},
                "evaluator": "structured_match",
                "remote": {"provider": "simulated", "model": "teacher", "price": PRICE.model_dump()},
            }
        )
        self.activity = RecordFeedback(store, Scorer(), lambda: NOW)

    async def served(
        self,
        request_id: str,
        teacher: dict[str, Any] | None,
        local: dict[str, Any] | None = None,
        version: int = 1,
        text: str | None = None,
    ) -> None:
        input = {"text": text or request_id}
        if teacher is None:
            assert local is not None
            answer = Answer(source=Source.LOCAL, output=local, model="m", version=1)
            await self.store.journal.served_locally(
                "tickets", request_id, input_hash(input), answer, False, NOW, "first"
            )
            return
        intent = Intent(
            task="tickets",
            request_id=request_id,
            input_hash=input_hash(input),
            admission="first",
            provider="simulated",
            model="teacher",
            idempotency_key=request_id,
            upper_bound=PRICE.per_request,
            schema_version=version,
        )
        await self.store.journal.intend(intent, NOW)
        answer = Answer(source=Source.REMOTE, output=teacher, provider="simulated", model="teacher")
        example = Example(
            task="tickets",
            schema_version=version,
            request_id=request_id,
            input_hash=intent.input_hash,
            split=Split.TRAIN,
            input=input,
            output=teacher,
            provider="simulated",
            model="teacher",
            created_at=NOW,
        )
        await self.store.journal.answered(intent, answer, example, NOW)
        if local is not None:
            await self.store.comparisons.record("tickets", request_id, Comparison(score=0.5, version=1), NOW, local)

    async def say(self, *labels: Label) -> Labelled:
        digest = await self.store.settings.put(self.settings)
        call = FeedbackCall(task="tickets", settings_digest=digest, labels=list(labels))
        labelled: Labelled = await ActivityEnvironment().run(self.activity.record_feedback, call)
        return labelled

    async def scores(self, label: Label) -> tuple[float | None, float | None, float | None]:
        [verdict] = (await self.say(label)).verdicts
        assert verdict.error is None, verdict.message
        return verdict.served, verdict.teacher, verdict.local

    async def taught(self) -> list[dict[str, Any]]:
        ref = await self.store.examples.snapshot("tickets", self.settings.schema_version)
        return [example.output async for example in self.store.examples.read(ref, Split.TRAIN)]


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with await Store.open(f"sqlite:///{tmp_path}/store.db") as store:
        yield Desk(store)


def output(category: str, priority: int = 1) -> dict[str, Any]:
    return {"category": category, "priority": priority}


async def test_both_answers_are_scored_by_the_tasks_evaluator(desk: Desk) -> None:
    await desk.served("r", output("a"), local=output("b", 2))
    assert await desk.scores(Label(request_id="r", output=output("b"))) == (0.5, 0.5, 0.5)
    assert await desk.scores(Label(request_id="r", output=output("b", 2))) == (0.0, 0.0, 1.0)
    assert await desk.scores(Label(request_id="r", right=True)) == (1.0, 1.0, 0.0)
    assert await desk.taught() == [output("a")]


async def test_wrong_says_what_is_wrong_and_not_what_is_right(desk: Desk) -> None:
    await desk.served("differ", output("a"), local=output("b"))
    await desk.served("same", output("a"), local=output("a"))
    await desk.served("alone", None, local=output("b"))
    for request_id, scores in (("differ", (0.0, 0.0, None)), ("same", (0.0,) * 3), ("alone", (0.0, None, 0.0))):
        assert await desk.scores(Label(request_id=request_id, right=False)) == scores
    assert await desk.taught() == []  # what is known to be wrong teaches nobody


async def test_a_local_answer_that_was_right_corrects_the_example_of_its_input(desk: Desk) -> None:
    await desk.served("first", output("a"), text="the same question")
    await desk.served("again", None, local=output("b"), text="the same question")
    [verdict] = (await desk.say(Label(request_id="again", right=True))).verdicts
    assert (verdict.teacher, verdict.local, verdict.corrected) == (None, 1.0, True)
    assert await desk.taught() == [output("b")]


async def test_the_last_word_holds_and_what_is_wrong_with_one_label_is_said_of_it_alone(desk: Desk) -> None:
    await desk.served("r", output("a"))
    labels = [Label(request_id="r", right=False), Label(request_id="nobody", right=True)]
    labelled = await desk.say(*labels, Label(request_id="r", output=output("c")))
    assert [verdict.error for verdict in labelled.verdicts] == [None, "UnknownRequest", None]
    assert "'nobody'" in labelled.verdicts[1].message
    assert (labelled.gold.told, labelled.gold.told_served.right) == (1, 0.5)
    assert await desk.taught() == [output("c")]
    assert (await desk.say(Label(request_id="r", output=output("c")))).gold == labelled.gold


async def test_the_call_of_a_second_opinion_is_no_request(desk: Desk) -> None:
    await desk.served("r#second", output("a"))
    [verdict] = (await desk.say(Label(request_id="r#second", right=True))).verdicts
    assert verdict.error == "UnknownRequest"


async def test_an_answer_under_another_schema_is_not_compared(desk: Desk) -> None:
    await desk.served("old", output("a"), version=7)
    await desk.served("unfit", None, local={"label": "x"})
    labelled = await desk.say(Label(request_id="old", right=True), Label(request_id="unfit", right=True))
    assert [verdict.error for verdict in labelled.verdicts] == ["OtherSchema"] * 2
    assert labelled.gold.told == 0


async def test_settings_that_nobody_stored_are_an_error_by_name(desk: Desk) -> None:
    call = FeedbackCall(task="tickets", settings_digest="f" * 16, labels=[Label(request_id="r", right=True)])
    with pytest.raises(ApplicationError) as caught:
        await ActivityEnvironment().run(desk.activity.record_feedback, call)
    assert (caught.value.type, caught.value.non_retryable) == ("SettingsUnknown", True)


async def test_the_sum_is_of_all_labels(desk: Desk) -> None:
    for n in range(4):
        await desk.served(f"r-{n}", output("a"), local=output("b"))
    labels = [Label(request_id=f"r-{n}", output=output("b" if n else "a")) for n in range(4)]
    gold = (await desk.say(*labels)).gold
    assert gold.told == 4
    assert math.isclose(gold.told_served.right, 1.0 + 3 * 0.5)
    assert gold.teacher.n == 0  # nobody drew them
