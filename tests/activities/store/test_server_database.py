"""PostgreSQL: many processes on one store, and a server that goes away and comes back."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from activities.store import Store, StoreError, Unknown
from apprentice.messages import Answer, Source
from tests.postgres import PASSWORD, PostgresServer

Make = Callable[..., Any]


@pytest.fixture
async def stores(postgres_url: str) -> Any:
    """Six stores on one database: as many processes, as far as the database can see."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(await Store.open(postgres_url)) for _ in range(6)]


async def test_two_workers_that_intend_the_same_call_never_both_make_it(
    stores: list[Store], call: Make, now: datetime
) -> None:
    for n in range(40):
        intent = call(f"t{n}").intent
        standings = await asyncio.gather(*(store.journal.intend(intent, now) for store in stores))
        assert [standing.state for standing in standings].count(None) == 1


async def test_two_workers_that_try_a_failed_call_again_never_both_make_it(
    stores: list[Store], call: Make, now: datetime
) -> None:
    for n in range(40):
        intent = call(f"t{n}").intent
        await stores[0].journal.intend(intent, now)
        await stores[0].journal.failed(intent, "overloaded", now)
        standings = await asyncio.gather(*(store.journal.intend(intent, now) for store in stores))
        assert [standing.state for standing in standings].count(None) == 1


async def test_a_request_that_is_answered_twice_at_once_has_one_answer(
    stores: list[Store], call: Make, now: datetime
) -> None:
    for n in range(20):
        one = call(f"t{n}")
        await stores[0].journal.intend(one.intent, now)
        answers = [one.answer.model_copy(update={"output": {"by": number}}) for number in range(len(stores))]
        settled = await asyncio.gather(
            *(
                store.journal.answered(one.intent, answer, one.example, now)
                for store, answer in zip(stores, answers, strict=True)
            )
        )
        assert len({each.answer.output["by"] for each in settled}) == 1
    ref = await stores[0].examples.snapshot("tickets", 1)
    assert ref.train + ref.holdout == 20
    assert await stores[0].journal.spend("tickets") == Decimal("0.020")


async def test_of_a_remote_and_a_local_answer_at_the_same_moment_one_is_served(
    stores: list[Store], call: Make, now: datetime
) -> None:
    local = Answer(source=Source.LOCAL, output={"category": "local"}, model="embedded", version=1)
    for n in range(40):
        one = call(f"t{n}")
        await stores[0].journal.intend(one.intent, now)
        hashed = one.intent.input_hash
        remote, served = await asyncio.gather(
            stores[0].journal.answered(one.intent, one.answer, one.example, now),
            stores[1].journal.served_locally("tickets", f"r-t{n}", hashed, local, False, now, "first"),
        )
        final = await stores[2].journal.served("tickets", f"r-t{n}")
        assert final is not None
        assert served.answer == final.answer
        assert remote.answer == one.answer


async def test_workers_that_add_the_same_examples_count_each_once_and_number_them_without_gaps_in_a_snapshot(
    stores: list[Store], call: Make
) -> None:
    async def worker(number: int, store: Store) -> None:
        for n in range(30):
            await call(f"t{n}", request_id=f"r-{number}-{n}", task=f"task{n % 2}").make(store)

    await asyncio.gather(*(worker(number, store) for number, store in enumerate(stores)))
    ref = await stores[0].examples.snapshot("tickets", 1)
    assert ref.train + ref.holdout == 30
    for number in range(2):
        assert await stores[0].journal.unknown(f"task{number}") == Unknown(0, Decimal(0))


async def test_100_writers_of_six_workers_lose_nothing(stores: list[Store], call: Make) -> None:
    async def writer(number: int) -> None:
        for n in range(4):
            await call(f"{number}-{n}").make(stores[number % len(stores)])

    await asyncio.gather(*(writer(number) for number in range(100)))
    assert await stores[0].journal.spend("tickets") == Decimal("0.400")
    ref = await stores[0].examples.snapshot("tickets", 1)
    assert ref.train + ref.holdout == 400


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    """A server that the test may kill."""
    server = PostgresServer.start()
    yield server
    server.remove()


@pytest.mark.crash
async def test_a_server_that_was_killed_comes_back_and_the_store_with_it(
    own_server: PostgresServer, call: Make, now: datetime
) -> None:
    async with await Store.open(own_server.create_database()) as store:
        await asyncio.gather(*(call(f"before{n}").make(store) for n in range(20)))

        own_server.stop(signal.SIGQUIT)
        for _ in range(3):
            with pytest.raises(StoreError, match=r"the store failed: .*onnect") as caught:
                await call("meanwhile").make(store)
            assert PASSWORD not in str(caught.value)
        await asyncio.to_thread(own_server.resume)

        assert (await call("meanwhile").make(store)).answer == call("meanwhile").answer
        assert await store.journal.spend("tickets") == Decimal("0.021")


@pytest.mark.crash
async def test_nobody_notices_a_server_that_restarted_while_nothing_was_asked(
    own_server: PostgresServer, call: Make
) -> None:
    async with await Store.open(own_server.create_database()) as store:
        await asyncio.gather(*(call(f"before{n}").make(store) for n in range(20)))
        own_server.stop(signal.SIGINT)
        await asyncio.to_thread(own_server.resume)
        await asyncio.gather(*(call(f"after{n}").make(store) for n in range(20)))
        assert await store.journal.spend("tickets") == Decimal("0.040")


async def test_a_wrong_password_is_an_error_that_does_not_show_it(postgres_url: str) -> None:
    with pytest.raises(StoreError, match="password authentication failed") as caught:
        await Store.open(postgres_url.replace(PASSWORD, "wrong-secret"))
    assert "wrong-secret" not in str(caught.value)


async def test_an_error_about_a_row_does_not_quote_it(postgres_url: str, call: Make, now: datetime) -> None:
    async with await Store.open(postgres_url) as store:
        endless = replace(call("a").intent, model="private " * 100)
        with pytest.raises(StoreError, match="too long") as caught:
            await store.journal.intend(endless, now)
    assert "private" not in str(caught.value)
