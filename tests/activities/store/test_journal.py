"""Nothing lost, nothing paid twice: what the journal remembers of a call."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from activities.store import CallState, RequestIdReused, Served, Settled, Store, Unknown
from apprentice.messages import Answer, Source, Split

Make = Callable[..., Any]


@pytest.fixture
def local() -> Answer:
    return Answer(source=Source.LOCAL, output={"category": "local"}, model="embedded", version=3, confidence=0.5)


async def test_a_request_that_nobody_answered_has_no_served_answer(store: Store, call: Make, now: datetime) -> None:
    assert await store.journal.served("tickets", "r-a") is None
    await store.journal.intend(call("a").intent, now)
    assert await store.journal.served("tickets", "r-a") is None


async def test_the_answer_survives_a_new_start_exactly(store: Store, url: str, call: Make) -> None:
    one = call("a", cost="0.000000123456789")
    await one.make(store)
    await store.close()
    async with await Store.open(url) as again:
        assert await again.journal.served("tickets", "r-a") == Served(
            one.answer, False, one.intent.input_hash, "first", one.example.split
        )
        assert await again.journal.spend("tickets") == Decimal("0.000000123456789")


async def test_a_second_intent_sees_the_first(store: Store, call: Make, now: datetime) -> None:
    one = call("a")
    assert (await store.journal.intend(one.intent, now)).state is None
    assert (await store.journal.intend(one.intent, now)).state is CallState.INTENT
    await store.journal.answered(one.intent, one.answer, one.example, now)
    standing = await store.journal.intend(one.intent, now)
    assert standing.state is CallState.ANSWERED
    assert standing.served is not None
    assert standing.served.answer == one.answer


async def test_of_50_simultaneous_intents_exactly_one_may_call(store: Store, call: Make, now: datetime) -> None:
    standings = await asyncio.gather(*(store.journal.intend(call("a").intent, now) for _ in range(50)))
    assert [standing.state for standing in standings].count(None) == 1


async def test_a_call_that_cost_nothing_may_be_made_again(store: Store, call: Make, now: datetime) -> None:
    one = call("a")
    await store.journal.intend(one.intent, now)
    await store.journal.failed(one.intent, "overloaded", now)
    assert await store.journal.spend("tickets") == 0
    dearer = replace(one.intent, upper_bound=Decimal("0.5"), model="fallback")
    assert (await store.journal.intend(dearer, now)).state is None
    assert await store.journal.unknown("tickets") == Unknown(1, Decimal("0.5"))


async def test_a_paid_but_unusable_answer_is_counted_and_not_asked_again(
    store: Store, call: Make, now: datetime
) -> None:
    one = call("a")
    await store.journal.intend(one.intent, now)
    await store.journal.rejected(one.intent, Decimal("0.004"), "does not fit", now)
    standing = await store.journal.intend(one.intent, now)
    assert (standing.state, standing.error, standing.served) == (CallState.REJECTED, "does not fit", None)
    assert await store.journal.spend("tickets") == Decimal("0.004")
    assert await store.journal.unknown("tickets") == Unknown(0, Decimal(0))


async def test_an_intent_without_an_answer_counts_as_spent(store: Store, call: Make, now: datetime) -> None:
    for text in ("a", "b"):
        await store.journal.intend(call(text).intent, now)
    await call("c").make(store)
    await store.journal.intend(call("d", task="other").intent, now)
    assert await store.journal.unknown("tickets") == Unknown(2, Decimal("0.02"))
    assert await store.journal.spend("tickets") == Decimal("0.021")


async def test_the_first_answer_to_a_call_stands(store: Store, call: Make, now: datetime) -> None:
    one = call("a")
    await one.make(store)
    other = one.answer.model_copy(update={"output": {"category": "other"}, "cost": Decimal("9")})
    settled = await store.journal.answered(one.intent, other, one.example, now)
    assert settled == Settled(one.answer, one.example.split)
    later = replace(one.intent, admission="second")
    assert await store.journal.answered(later, other, one.example, now) == Settled(one.answer, None)
    assert await store.journal.spend("tickets") == Decimal("0.001")


async def test_what_a_call_may_have_cost_is_told_to_its_own_admission_only(
    store: Store, call: Make, now: datetime
) -> None:
    one = call("a")
    later = replace(one.intent, admission="second")
    await store.journal.intend(one.intent, now)
    assert (await store.journal.intend(one.intent, now)).charged == one.intent.upper_bound
    assert (await store.journal.intend(later, now)).charged == 0
    await store.journal.rejected(one.intent, Decimal("0.004"), "does not fit", now)
    assert (await store.journal.intend(one.intent, now)).charged == Decimal("0.004")
    assert (await store.journal.intend(later, now)).charged == 0


async def test_an_answer_that_comes_after_a_later_attempt_failed_is_kept(
    store: Store, call: Make, now: datetime
) -> None:
    one = call("a")
    await store.journal.intend(one.intent, now)
    await store.journal.failed(one.intent, "overloaded", now)
    assert (await store.journal.answered(one.intent, one.answer, one.example, now)).answer == one.answer
    assert await store.journal.spend("tickets") == one.answer.cost


async def test_a_failure_after_the_answer_changes_nothing(store: Store, call: Make, now: datetime) -> None:
    one = call("a")
    await one.make(store)
    await store.journal.failed(one.intent, "overloaded", now)
    served = await store.journal.served("tickets", "r-a")
    assert served is not None
    assert served.answer == one.answer
    assert await store.journal.spend("tickets") == one.answer.cost


async def test_an_answer_without_an_intent_is_refused(store: Store, call: Make, now: datetime) -> None:
    one = call("a")
    with pytest.raises(LookupError, match="without an intent"):
        await store.journal.answered(one.intent, one.answer, one.example, now)
    assert (await store.examples.snapshot("tickets", 1)).last_id == 0


@pytest.mark.parametrize("earlier", ["remote", "local"])
async def test_a_request_id_with_another_input_is_refused(
    store: Store, call: Make, now: datetime, local: Answer, earlier: str
) -> None:
    one, other = call("a"), call("b", request_id="r-a")
    if earlier == "remote":
        await one.make(store)
    else:
        await store.journal.served_locally("tickets", "r-a", one.intent.input_hash, local, False, now, "first")
    with pytest.raises(RequestIdReused, match="'r-a'"):
        await store.journal.intend(other.intent, now)
    with pytest.raises(RequestIdReused):
        await store.journal.served_locally("tickets", "r-a", other.intent.input_hash, local, False, now, "first")
    assert await store.journal.unknown("tickets") == Unknown(0, Decimal(0))


async def test_the_same_request_id_of_two_tasks_is_two_requests(store: Store, call: Make) -> None:
    await call("a").make(store)
    await call("b", request_id="r-a", task="other").make(store)
    served = await store.journal.served("other", "r-a")
    assert served is not None
    assert served.input_hash == call("b").intent.input_hash


async def test_a_local_answer_is_served_again_with_its_degraded_mark(
    store: Store, call: Make, now: datetime, local: Answer
) -> None:
    hashed = call("a").intent.input_hash
    first = await store.journal.served_locally("tickets", "r-a", hashed, local, True, now, "first")
    newer = local.model_copy(update={"version": 4})
    second = await store.journal.served_locally("tickets", "r-a", hashed, newer, False, now, "second")
    assert first == second == await store.journal.served("tickets", "r-a") == Served(local, True, hashed, "first")


async def test_what_a_local_answer_cost_is_no_spend(store: Store, call: Make, now: datetime, local: Answer) -> None:
    paid, hashed = call("a"), call("b").intent.input_hash
    await paid.make(store)
    costly = local.model_copy(update={"cost": Decimal("0.25")})
    await store.journal.served_locally("tickets", "r-b", hashed, costly, False, now, "first")
    assert await store.journal.spend("tickets") == paid.answer.cost
    by_day = await store.journal.spend_by_day(now - timedelta(days=1), UTC)
    assert sum((day.settled for day in by_day), Decimal(0)) == paid.answer.cost
    again = await store.journal.served("tickets", "r-b")
    assert again is not None
    assert again.answer.cost == Decimal("0.25")


async def test_what_was_served_first_stays_served(store: Store, call: Make, now: datetime, local: Answer) -> None:
    one, two = call("a"), call("b")
    await one.make(store)
    held = await store.journal.served_locally("tickets", "r-a", one.intent.input_hash, local, False, now, "first")
    assert held.answer == one.answer

    await store.journal.intend(two.intent, now)
    await store.journal.served_locally("tickets", "r-b", two.intent.input_hash, local, True, now, "first")
    settled = await store.journal.answered(two.intent, two.answer, two.example, now)
    served = await store.journal.served("tickets", "r-b")
    assert served is not None
    assert served.answer == local
    assert settled.answer == two.answer
    assert settled.example is two.example.split
    assert await store.journal.spend("tickets") == one.answer.cost + two.answer.cost


async def test_a_repeated_input_is_no_second_example(store: Store, call: Make) -> None:
    one = call("a")
    again = one.with_request_id("r-other")
    assert (await one.make(store)).example is one.example.split
    assert (await again.make(store)).example is None
    ref = await store.examples.snapshot("tickets", 1)
    assert ref.train + ref.holdout == 1


async def test_100_concurrent_writers_lose_nothing_and_count_right(store: Store, call: Make) -> None:
    async def writer(number: int) -> list[Split | None]:
        # Every input comes from two writers.
        calls = [call(f"{number // 2}-{n}", request_id=f"r-{number}-{n}") for n in range(10)]
        return [(await one.make(store)).example for one in calls]

    splits = [split for part in await asyncio.gather(*map(writer, range(100))) for split in part]
    assert splits.count(None) == 500
    ref = await store.examples.snapshot("tickets", 1)
    assert (ref.train, ref.holdout) == (splits.count(Split.TRAIN), splits.count(Split.HOLDOUT))
    assert await store.journal.spend("tickets") == Decimal("1.000")
    assert len([row async for row in store.examples.read(ref, Split.TRAIN, batch=64)]) == ref.train


async def test_an_error_that_quotes_garbage_is_stored_readably(store: Store, call: Make, now: datetime) -> None:
    one = call("a")
    await store.journal.intend(one.intent, now)
    await store.journal.rejected(one.intent, Decimal(0), "not JSON: 'x\x00y\ud800'", now)
    assert (await store.journal.intend(one.intent, now)).error == "not JSON: 'x\ufffdy?'"
