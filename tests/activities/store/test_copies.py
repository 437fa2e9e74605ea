"""One paid answer for several requests, each of which keeps it."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from activities.store import CallState, RequestIdReused, Served, Standing, Store

Make = Callable[..., Any]
HOUR = timedelta(hours=1)


def free(answer: Any) -> Any:
    return answer.model_copy(update={"cost": Decimal(0), "latency_seconds": 0.0})


async def test_a_request_gets_the_answer_of_the_one_it_waited_for_and_keeps_it(
    store: Store, call: Make, now: datetime
) -> None:
    leader = call("a")
    await leader.make(store)
    follower = replace(leader.intent, request_id="r-follower", copy_of="r-a", admission="second")
    given = Served(free(leader.answer), False, leader.intent.input_hash, "second")
    assert await store.journal.intend(follower, now) == Standing(CallState.ANSWERED, copied=given)
    again = replace(follower, copy_of=None)
    assert await store.journal.intend(again, now) == Standing(CallState.ANSWERED, served=given)
    assert await store.journal.served("tickets", "r-follower") == given
    assert await store.journal.spend("tickets") == leader.answer.cost
    ref = await store.examples.snapshot("tickets", 1)
    assert ref.train + ref.holdout == 1


async def test_a_copy_outlives_its_source(store: Store, call: Make, now: datetime) -> None:
    await call("a").make(store)
    await store.journal.intend(replace(call("a").intent, request_id="r-2", copy_of="r-a"), now + 10 * HOUR)
    assert await store.journal.forget(now + HOUR) == 1
    assert await store.journal.served("tickets", "r-a") is None
    served = await store.journal.served("tickets", "r-2")
    assert served is not None
    assert served.answer == free(call("a").answer)


@pytest.mark.parametrize("why", ["unanswered", "another input", "another schema", "unknown id", "another task"])
async def test_without_an_answer_to_copy_the_call_is_the_requests_own(
    store: Store, call: Make, now: datetime, why: str
) -> None:
    if why == "unanswered":
        await store.journal.intend(call("a").intent, now)
    else:
        await call("a", task="other" if why == "another task" else "tickets").make(store)
    intent = call("b" if why == "another input" else "a", request_id="r-new", copy_of="r-a").intent
    if why == "another schema":
        intent = replace(intent, schema_version=2)
    if why == "unknown id":
        intent = replace(intent, copy_of="r-unknown")
    assert await store.journal.intend(intent, now) == Standing(None)


async def test_the_newest_answer_to_the_same_input_is_given_while_it_is_young_enough(
    store: Store, call: Make, now: datetime
) -> None:
    for number, hours in enumerate((0, 2, 1)):
        one = call("a", request_id=f"r-{number}", schema_version=1)
        await store.journal.intend(one.intent, now)
        answer = one.answer.model_copy(update={"output": {"number": number}})
        await store.journal.answered(one.intent, answer, one.example, now + hours * HOUR)
    asked = call("a", request_id="r-new", schema_version=1, cached_since=now + 2 * HOUR).intent
    assert await store.journal.intend(replace(asked, schema_version=2), now) == Standing(None)
    asked = replace(asked, request_id="r-newer")
    standing = await store.journal.intend(asked, now + 3 * HOUR)
    assert standing.copied is not None
    assert standing.copied.answer.output == {"number": 1}
    # What was copied is no younger than what was paid for: a cache that renews itself would never ask again.
    later = replace(asked, request_id="r-late", cached_since=now + 2 * HOUR + timedelta(seconds=1))
    assert await store.journal.intend(later, now + 3 * HOUR) == Standing(None)


async def test_a_call_that_failed_may_be_given_a_copy_instead(store: Store, call: Make, now: datetime) -> None:
    await call("a").make(store)
    second = call("a", request_id="r-2").intent
    await store.journal.intend(second, now)
    await store.journal.failed(second, "overloaded", now)
    standing = await store.journal.intend(replace(second, copy_of="r-a"), now)
    assert standing.copied == await store.journal.served("tickets", "r-2")


async def test_a_copy_is_refused_to_a_request_id_of_another_input(store: Store, call: Make, now: datetime) -> None:
    await call("a").make(store)
    await call("b").make(store)
    with pytest.raises(RequestIdReused):
        await store.journal.intend(call("a", request_id="r-b", copy_of="r-a").intent, now)


async def test_50_followers_at_once_cost_nothing(store: Store, call: Make, now: datetime) -> None:
    await call("a").make(store)
    intents = [call("a", request_id=f"r-{n % 25}", copy_of="r-a").intent for n in range(50)]
    standings = await asyncio.gather(*(store.journal.intend(intent, now) for intent in intents))
    assert [standing.copied is None for standing in standings].count(False) == 25
    assert all(standing.copied or standing.served for standing in standings)
    assert await store.journal.spend("tickets") == call("a").answer.cost
