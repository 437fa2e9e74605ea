"""Questions of batches in the store, and the journal's part in them: each step may be done again."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from activities.store import CallState, Question, QuestionState, Store
from apprentice.messages import Answer, Source, Split


def question(call: Any, batch: int = 1, **fields: Any) -> Question:
    """The question that a paid call of the task `tickets` would answer."""
    values: dict[str, Any] = {
        "task": "tickets",
        "request_id": call.intent.request_id,
        "batch": batch,
        "schema_version": 1,
        "input_hash": call.intent.input_hash,
        "input": call.example.input,
        "local": Answer(source=Source.LOCAL, output={"category": "a"}, model="m", version=1, confidence=0.5),
        "propensity": 0.25,
        "reserved": Decimal("0.005"),
    }
    return Question(**values | fields)


async def test_questions_come_back_as_they_were_kept(store: Store, call: Callable[..., Any], now: datetime) -> None:
    first, second, other = question(call("a")), question(call("b"), local=None), question(call("c"), batch=2)
    await store.batches.put([first, second, other], now)
    await store.batches.put([replace(first, propensity=1.0)], now)
    assert await store.batches.all("tickets", 1) == [first, second]
    assert await store.batches.last("tickets") == 2
    assert await store.batches.last("others") == 0


async def test_what_was_sent_and_what_became_of_it_is_kept_until_it_is_cleared(
    store: Store, call: Callable[..., Any], now: datetime
) -> None:
    await store.batches.put([question(call("a")), question(call("b")), question(call("c"), batch=2)], now)
    await store.batches.sent("tickets", 1, "batch_1")
    assert await store.batches.taken() == {"batch_1"}
    first, second = await store.batches.all("tickets", 1)
    assert first.state is second.state is QuestionState.SENT
    await store.batches.ended(first, QuestionState.ANSWERED, cost=Decimal("0.001"), score=1.0, example=Split.TRAIN)
    ended, _ = await store.batches.all("tickets", 1)
    assert (ended.state, ended.cost, ended.score, ended.example) == ("answered", Decimal("0.001"), 1.0, Split.TRAIN)
    await store.batches.clear("tickets", 1)
    assert await store.batches.all("tickets", 1) == []
    assert len(await store.batches.all("tickets", 2)) == 1


async def test_an_input_is_known_by_its_example_or_by_its_question(
    store: Store, call: Callable[..., Any], now: datetime
) -> None:
    await call("a").make(store)
    await store.batches.put([question(call("b"))], now)
    hashes = [call(text).intent.input_hash for text in "abc"]
    assert await store.batches.known("tickets", 1, hashes) == set(hashes[:2])
    assert await store.batches.known("tickets", 2, hashes) == set()
    many = [f"{number:064x}" for number in range(2000)]
    assert await store.batches.known("tickets", 1, many + hashes) == set(hashes[:2])


async def test_a_call_beside_a_served_answer_is_paid_once_and_does_not_replace_it(
    store: Store, call: Callable[..., Any], now: datetime
) -> None:
    made = call("a")
    served = Answer(source=Source.LOCAL, output={"category": "a"}, model="m", version=1)
    await store.journal.served_locally("tickets", "r-a", made.intent.input_hash, served, False, now, "first")
    intent = replace(made.intent, admission="batch", upper_bound=Decimal("0.005"))
    (standing,) = await store.journal.intend_beside([intent], now)
    assert (standing.state, standing.error) == (None, None)
    assert await store.journal.is_in_doubt(intent)
    assert await store.journal.spend("tickets") == Decimal("0.005")
    (again,) = await store.journal.intend_beside([intent], now)
    assert (again.state, again.error) == (CallState.INTENT, None)
    assert (await store.journal.answered(intent, made.answer, made.example, now)).example is not None
    assert await store.journal.spend("tickets") == made.answer.cost
    assert not await store.journal.is_in_doubt(intent)
    kept = await store.journal.served("tickets", "r-a")
    assert kept is not None
    assert kept.answer == served


async def test_a_call_that_others_began_is_not_ours(store: Store, call: Callable[..., Any], now: datetime) -> None:
    await store.journal.intend(call("a").intent, now)
    ours = replace(call("a").intent, admission="batch")
    (standing,) = await store.journal.intend_beside([ours], now)
    assert standing.error is not None
    assert not await store.journal.is_in_doubt(ours)
    (reused,) = await store.journal.intend_beside([replace(ours, input_hash="0" * 64)], now)
    assert reused.error is not None


async def test_old_questions_are_forgotten(store: Store, call: Callable[..., Any], now: datetime) -> None:
    await store.batches.put([question(call("a"))], now)
    assert await store.journal.forget(now) == 0
    assert await store.journal.forget(now.replace(year=now.year + 1)) == 1
    assert await store.batches.all("tickets", 1) == []
