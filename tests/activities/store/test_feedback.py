"""What people say of answers: kept, replaced, forgotten, and what it does to the data set."""

import json
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from activities.store import Answers, Drawn, ExampleKey, Store
from apprentice.gold import tally
from apprentice.messages import Answer, Comparison, Source, Split
from tests.activities.store.conftest import labelled

Make = Callable[..., Any]
DAY = timedelta(days=1)
GOLD = {"category": "c0", "note": "what a person said"}
TEACHER = "simulated teacher"


async def outputs(store: Store, ref: Any, split: Split = Split.TRAIN, batch: int = 1000) -> dict[str, Any]:
    return {one.input["text"]: one.output async for one in store.examples.read(ref, split, batch)}


def of_split(call: Make, split: Split, count: int) -> list[Any]:
    """Calls whose examples are all in that part."""
    some = [call(f"t{n}") for n in range(200)]
    return [one for one in some if one.example.split is split][:count]


async def test_what_a_request_was_answered_is_known_with_what_the_local_model_said_beside_it(
    store: Store, call: Make, now: datetime
) -> None:
    one = call("a", schema_version=1)
    await one.make(store)
    local = {"category": "c9", "note": "local"}
    await store.comparisons.record("tickets", "r-a", Comparison(score=0.5, version=3), now, local)
    assert await store.feedback.answers("tickets", "r-a") == Answers(
        input_hash=one.intent.input_hash,
        schema_version=1,
        served=one.answer,
        teacher=one.answer.output,
        teacher_name=TEACHER,
        local=local,
    )
    alone = Answer(source=Source.LOCAL, output=local, model="m", version=3)
    await store.journal.served_locally("tickets", "r-b", "hash", alone, False, now, "first")
    served = await store.feedback.answers("tickets", "r-b")
    assert served is not None
    assert (served.teacher, served.teacher_name, served.local) == (None, None, local)
    assert await store.feedback.answers("tickets", "r-unknown") is None
    assert await store.feedback.answers("other", "r-a") is None
    await store.journal.intend(call("doubt").intent, now)
    assert await store.feedback.answers("tickets", "r-doubt") is None


async def test_a_label_replaces_the_one_before_and_said_again_changes_nothing(
    store: Store, call: Make, now: datetime
) -> None:
    await call("a").make(store)
    taken = await store.feedback.give(labelled(call("a"), GOLD, teacher_score=0.0), now)
    assert (taken.audited, taken.corrected) == (False, True)
    first = await store.examples.snapshot("tickets", 1)
    assert first.last_amendment == 1
    await store.feedback.give(labelled(call("a"), GOLD, teacher_score=0.0), now + DAY)
    assert await store.examples.snapshot("tickets", 1) == first
    taken = await store.feedback.give(labelled(call("a"), call("a").example.output, teacher_score=1.0), now)
    assert not taken.corrected
    gold = tally(await store.feedback.labellings("tickets", 1), {TEACHER})
    assert (gold.told, gold.told_served.right) == (1, 1.0)


@pytest.mark.parametrize("split", Split)
async def test_an_example_teaches_what_a_person_said_and_a_frozen_data_set_stays_as_it_was(
    store: Store, call: Make, now: datetime, split: Split, tmp_path: Path
) -> None:
    one, other = of_split(call, split, 2)
    for each in (one, other):
        await each.make(store)
    before = await store.examples.snapshot("tickets", 1)
    await store.feedback.give(labelled(one, GOLD), now)
    between = await store.examples.snapshot("tickets", 1)
    later = {"category": "c8", "note": "on second thoughts"}
    await store.feedback.give(labelled(one, later), now)
    after = await store.examples.snapshot("tickets", 1)
    text, kept = one.example.input["text"], other.example.input["text"]
    for ref, right in ((before, one.example.output), (between, GOLD), (after, later)):
        for batch in (1, 1000):
            assert await outputs(store, ref, split, batch) == {text: right, kept: other.example.output}
        newest = await store.examples.newest(ref, split, 5)
        assert [(each.output, each.corrected) for each in newest] == [
            (right, right != one.example.output),
            (other.example.output, False),
        ]
        assert (ref.train + ref.holdout, ref.left_out) == (2, 0)
    assert await store.examples.export(between, split, tmp_path / "rows.jsonl") == 2
    row = json.loads((tmp_path / "rows.jsonl").read_text().splitlines()[0])
    assert row == {"input": one.example.input, "output": GOLD, "fair": False}


@pytest.mark.parametrize("split", Split)
async def test_an_answer_that_is_known_to_be_wrong_teaches_and_examines_nobody_until_it_is_taken_back(
    store: Store, call: Make, now: datetime, split: Split
) -> None:
    one, other = of_split(call, split, 2)
    for each in (one, other):
        await each.make(store)
    await store.feedback.give(labelled(one, None, refuted=one.example.output), now)
    ref = await store.examples.snapshot("tickets", 1)
    assert (ref.train + ref.holdout, ref.left_out) == (1, 1)
    assert list(await outputs(store, ref, split)) == [other.example.input["text"]]
    assert [each.input for each in await store.examples.newest(ref, split, 2)] == [other.example.input]
    assert [each.input for each in await store.examples.newest(ref, split, 1)] == [other.example.input]
    # The local model's answer to the same input was wrong after all, not the teacher's.
    await store.feedback.give(labelled(one, None), now)
    again = await store.examples.snapshot("tickets", 1)
    assert (again.train + again.holdout, again.left_out) == (2, 0)
    assert list(await outputs(store, ref, split)) == [other.example.input["text"]]


async def test_a_wrong_answer_to_an_input_whose_example_has_another_answer_leaves_the_example(
    store: Store, call: Make, now: datetime
) -> None:
    one = call("a")
    await one.make(store)
    await store.feedback.give(labelled(one, None, refuted={"category": "c7", "note": "said the second time"}), now)
    assert (await store.examples.snapshot("tickets", 1)).left_out == 0


async def disagree(store: Store, one: Any, score: float, now: datetime) -> None:
    example = ExampleKey("tickets", 1, one.intent.input_hash)
    await store.opinions.record("tickets", one.intent.request_id, "a b", "c d", score, now, example)


async def test_disputed_examples_are_left_out_of_training_where_that_is_wanted_and_never_of_the_hold_out(
    store: Store, call: Make, now: datetime
) -> None:
    train, holdout = of_split(call, Split.TRAIN, 4), of_split(call, Split.HOLDOUT, 2)
    for each in [*train, *holdout]:
        await each.make(store)
    before = await store.examples.snapshot("tickets", 1, leave_out_disputed=True)
    for one, score in ((train[0], 0.0), (train[1], 0.49), (train[2], 0.5), (holdout[0], 0.0)):
        await disagree(store, one, score, now)
    names = [each.example.input["text"] for each in train]
    ref = await store.examples.snapshot("tickets", 1, leave_out_disputed=True)
    assert (ref.train, ref.holdout, ref.left_out) == (2, 2, 2)
    assert list(await outputs(store, ref)) == names[2:]
    assert len(await outputs(store, ref, Split.HOLDOUT)) == 2
    assert list(await outputs(store, before)) == names  # opinions that came later do not change what was frozen
    every = await store.examples.snapshot("tickets", 1)
    assert (every.train, every.left_out) == (4, 0)
    assert list(await outputs(store, every)) == names
    # A person decides between the teachers.
    await store.feedback.give(labelled(train[0], GOLD), now)
    ref = await store.examples.snapshot("tickets", 1, leave_out_disputed=True)
    assert await outputs(store, ref) == {name: GOLD if name == names[0] else train[n].example.output
                                         for n, name in enumerate(names) if n != 1}  # fmt: skip
    assert ref.train == 3


async def test_labels_go_with_the_calls_and_what_they_corrected_stays(store: Store, call: Make, now: datetime) -> None:
    one = call("a")
    await one.make(store)
    await store.feedback.give(labelled(one, GOLD), now)
    assert await store.journal.forget(now + DAY) == 2
    assert await store.feedback.labellings("tickets", 1) == []
    ref = await store.examples.snapshot("tickets", 1)
    assert list((await outputs(store, ref, one.example.split)).values()) == [GOLD]


# --- drawing -------------------------------------------------------------------------------------------------------


async def draw(store: Store, count: int, now: datetime, of: Source = Source.REMOTE, seed: int = 1) -> list[Drawn]:
    return await store.feedback.draw("tickets", 1, of, count, random.Random(seed), now)


async def fill(store: Store, call: Make, now: datetime, count: int) -> None:
    for n in range(count):
        await call(f"t{n}", schema_version=1).make(store)
        local = Answer(source=Source.LOCAL, output=GOLD, model="m", version=3)
        await store.journal.served_locally("tickets", f"l-{n}", f"hash{n}", local, False, now, "first")


async def test_a_draw_is_of_what_one_model_answered_with_the_input_where_the_store_has_it(
    store: Store, call: Make, now: datetime
) -> None:
    await fill(store, call, now, 8)
    await call("other schema", schema_version=2).make(store)
    await store.journal.intend(call("doubt", schema_version=1).intent, now)
    taught = await draw(store, 100, now)
    assert sorted(one.request_id for one in taught) == [f"r-t{n}" for n in range(8)]
    assert all(one.input == {"text": one.request_id[2:]} for one in taught)
    assert {str(one.answer) for one in taught} == {str(call("t1").example.output)}
    alone = await draw(store, 100, now, Source.LOCAL)
    assert sorted(one.request_id for one in alone) == [f"l-{n}" for n in range(8)]
    assert {one.input for one in alone} == {None}
    assert all(one.answer == GOLD for one in alone)


async def test_what_was_drawn_is_drawn_again_until_it_is_labelled_and_then_never_more(
    store: Store, call: Make, now: datetime
) -> None:
    await fill(store, call, now, 12)
    first = {one.request_id for one in await draw(store, 5, now)}
    assert len(first) == 5
    assert {one.request_id for one in await draw(store, 5, now, seed=2)} == first  # the file was lost
    for request_id in sorted(first):
        await store.feedback.give(labelled(call(request_id[2:]), GOLD, teacher_score=0.0), now)
    rest = {one.request_id for one in await draw(store, 100, now)}
    assert len(rest) == 7
    assert not rest & first
    gold = tally(await store.feedback.labellings("tickets", 1), {TEACHER})
    assert (gold.drawn, gold.labelled, gold.teacher.n, gold.told) == (12, 5, 5, 0)


async def test_a_label_that_was_given_before_its_request_was_drawn_counts_from_then_on(
    store: Store, call: Make, now: datetime
) -> None:
    await fill(store, call, now, 1)
    await store.feedback.give(labelled(call("t0"), GOLD, teacher_score=0.0), now)
    gold = tally(await store.feedback.labellings("tickets", 1), {TEACHER})
    assert (gold.told, gold.teacher.n) == (1, 0)
    [drawn] = await draw(store, 1, now)
    assert drawn.output == GOLD
    gold = tally(await store.feedback.labellings("tickets", 1), {TEACHER})
    assert (gold.told, gold.labelled, gold.teacher.n) == (0, 1, 1)


async def test_each_request_is_drawn_with_the_same_chance(store: Store, call: Make, now: datetime) -> None:
    await fill(store, call, now, 10)
    times = dict.fromkeys([f"r-t{n}" for n in range(10)], 0)
    for seed in range(60):
        for one in await draw(store, 3, now, seed=seed):
            times[one.request_id] += 1
        await store._database.write(lambda c: c.exec_driver_sql("DELETE FROM feedback"))
    assert sum(times.values()) == 180
    assert min(times.values()) >= 6  # 18 expected, 3.5 standard deviations below
    assert max(times.values()) <= 31


async def test_a_draw_in_the_midst_of_other_labels_of_another_task_sees_only_its_own(
    store: Store, call: Make, now: datetime
) -> None:
    await fill(store, call, now, 2)
    one = call("t0", task="other", schema_version=1)
    await replace(one, example=replace(one.example, task="other")).make(store)
    assert {each.request_id for each in await draw(store, 9, now)} == {"r-t0", "r-t1"}
