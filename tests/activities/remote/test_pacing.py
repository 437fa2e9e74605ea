"""Calls wait for their turn: all workers of an account together, on both databases."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.testing import ActivityEnvironment

from activities.remote.ask import AskRemote
from activities.remote.asking import Teachers
from activities.remote.errors import RateLimited
from activities.remote.pacing import Pacing, Turn, row_of
from activities.store import Store, StoreError
from apprentice import pace
from apprentice.messages import Answer, RemoteCall, Source, TaskRequest
from apprentice.pace import Limits
from apprentice.settings import ProviderSettings, TaskSettings

Make = Callable[..., TaskSettings]
START = datetime(2026, 3, 1, tzinfo=UTC)


def provider(requests: int | None = None, tokens: int | None = None, **more: Any) -> ProviderSettings:
    limits = {"requests_per_minute": requests, "tokens_per_minute": tokens}
    return ProviderSettings.model_validate({"provider": "simulated", "model": "m", "rate_limits": limits} | more)


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/store.db"
    found: str = request.getfixturevalue("postgres_url")
    return found


@pytest.fixture
async def workers(url: str) -> AsyncIterator[Callable[..., Awaitable[list[Pacing]]]]:
    """Each with a store of its own, as in processes of their own."""
    async with AsyncExitStack() as stack:

        async def make(count: int, **options: Any) -> list[Pacing]:
            stores = [await stack.enter_async_context(await Store.open(url)) for _ in range(count)]
            return [Pacing(store.paces, now, **options) for store in stores]

        yield make


async def test_two_workers_together_keep_to_the_limit_and_both_tasks_are_served(
    workers: Callable[..., Awaitable[list[Pacing]]],
) -> None:
    """Thirty in any second; what counts is when they were let go.

    One task sends all it can from both workers, the other has five calls at one of them.
    """
    window, limit, until = 1.0, 30, time.monotonic() + 3.0
    first, second = await workers(2, window=window)
    account, sent, rare_waits = provider(limit), list[float](), list[float]()

    async def flood(worker: Pacing) -> None:
        while time.monotonic() < until:
            turn = await worker(account, "flood", 1)
            assert turn is not None
            sent.append(turn.at)

    async def rare(worker: Pacing) -> None:
        for _ in range(5):
            await asyncio.sleep(0.4)
            asked = time.monotonic()
            turn = await worker(account, "rare", 1)
            assert turn is not None
            sent.append(turn.at)
            rare_waits.append(time.monotonic() - asked)

    await asyncio.gather(*(flood(worker) for worker in [first, second] * 10), rare(second))
    sent.sort()
    fullest = max(sum(1 for other in sent if start <= other < start + window) for start in sent)
    assert fullest <= limit
    assert len(sent) > 2 * limit
    assert len(rare_waits) == 5
    assert max(rare_waits) < 1.0


async def test_without_limits_the_store_is_never_asked() -> None:
    class Untouchable:
        def __getattribute__(self, name: str) -> Any:
            raise AssertionError

    pacing = Pacing(Untouchable(), now)  # type: ignore[arg-type]
    assert await pacing(provider(), "a", 10**9) is None
    await pacing.settle(None, 5)
    await pacing.slow_down(provider(), 30.0)
    with pytest.raises(RateLimited) as caught:
        await pacing(provider(), "a", 1)
    assert caught.value.retry_after == pytest.approx(30, abs=1)
    assert await pacing(provider(model="another"), "a", 1) is None


async def test_who_would_wait_long_is_sent_away_with_the_time_to_come_back(store: Store) -> None:
    pacing = Pacing(store.paces, lambda: START, patience=0.1)
    assert await pacing(provider(2), "a", 1)
    waits = []
    for calls in await asyncio.gather(*(pacing(provider(2), "a", 1) for _ in range(3)), return_exceptions=True):
        assert isinstance(calls, RateLimited)
        assert not calls.charged
        waits.append(calls.retry_after)
    assert waits == [pytest.approx(27), pytest.approx(57), pytest.approx(60)]


async def test_tokens_that_were_not_needed_are_free_for_the_next(store: Store) -> None:
    pacing = Pacing(store.paces, lambda: START, patience=0.0)
    account = provider(tokens=1_000)
    turn = await pacing(account, "a", 900)
    with pytest.raises(RateLimited):
        await pacing(account, "a", 900)
    await pacing.settle(turn, 100)
    assert await pacing(account, "a", 900)


async def test_a_providers_own_limit_holds_for_all_workers(store: Store) -> None:
    one, other = (Pacing(store.paces, lambda: START, patience=0.0) for _ in range(2))
    await one.slow_down(provider(1_000), 12.0)
    with pytest.raises(RateLimited) as caught:
        await other(provider(1_000), "b", 1)
    assert caught.value.retry_after == pytest.approx(12)


async def test_without_a_store_nothing_is_sent_and_what_was_sent_is_not_lost() -> None:
    class Away:
        async def change(self, *about: Any) -> Any:
            raise StoreError("the disk is full")

    pacing = Pacing(Away(), now)  # type: ignore[arg-type]
    with pytest.raises(RateLimited, match="disk is full"):
        await pacing(provider(1), "a", 1)
    await pacing.settle(Turn("a", Limits(None, 9), "a", 9, 0.0), 5)
    await pacing.slow_down(provider(1), 5.0)


def test_an_account_is_a_model_at_an_address_under_a_key_and_fits_its_column() -> None:
    accounts = [
        provider(),
        provider(model="n"),
        provider(api_key_env="KEY"),
        provider(base_url="http://a"),
        provider(base_url="http://a/" + "long/" * 100),
        provider(base_url="http://a/" + "long/" * 101),
    ]
    names = [row_of(each) for each in accounts]
    assert len(set(names)) == len(names)
    assert max(map(len, names)) == 300


class Model:
    """Counts its calls; answers with 20 tokens, or with what it was told."""

    idempotent = True

    def __init__(self, error: RateLimited | None = None) -> None:
        self.error = error
        self.asked = 0

    async def check(self) -> None:
        raise NotImplementedError

    async def ask(self, question: Any) -> Answer:
        self.asked += 1
        if self.error is not None:
            raise self.error
        return Answer(
            source=Source.REMOTE,
            output={"category": "billing", "priority": 1},
            model="teacher",
            input_tokens=15,
            output_tokens=5,
        )


async def ask(activity: AskRemote, settings: TaskSettings, store: Store, text: str) -> Any:
    request = TaskRequest(request_id=text, task="tickets", input={"text": text})
    call = RemoteCall(
        request=request,
        admission="first",
        settings_digest=await store.settings.put(settings),
        schema_version=1,
        reserved="0.02",
    )
    return await ActivityEnvironment().run(activity.ask_remote, call)


async def test_a_call_is_counted_before_it_is_made_and_settled_after(store: Store, settings: Make) -> None:
    ours, model = settings(rate_limits={"requests_per_minute": 2, "tokens_per_minute": 50_000}), Model()
    pacing = Pacing(store.paces, lambda: START)
    activity = AskRemote(store, lambda: START, Teachers(lambda provider, task: model, pacing))
    await ask(activity, ours, store, "one")
    state = pace.load(await store.paces.change(row_of(ours.remote), lambda text: (text or "", text)))
    assert [(each.requests, each.tokens) for each in state.sent] == [(1, 20)]
    pacing._patience = 0.0
    with pytest.raises(Exception, match="rate_limits") as caught:
        await ask(activity, ours, store, "two")
    assert caught.value.type == "RateLimited"  # type: ignore[attr-defined]
    assert caught.value.next_retry_delay == timedelta(seconds=27)  # type: ignore[attr-defined]
    assert caught.value.details[0]["charged"] == "0"  # type: ignore[attr-defined]
    assert model.asked == 1


async def test_the_next_caller_waits_as_the_provider_asked(store: Store, settings: Make) -> None:
    ours, model = settings(rate_limits={"requests_per_minute": 1_000}), Model(RateLimited("slow down", 12.0))
    pacing, counts = Pacing(store.paces, lambda: START, patience=0.0), Counter[str]()
    activity = AskRemote(store, lambda: START, Teachers(lambda provider, task: model, pacing))
    for text in ("one", "two"):
        with pytest.raises(Exception, match=r"slow down|rate_limits") as caught:
            await ask(activity, ours, store, text)
        counts[str(caught.value)[:9]] += 1
        assert caught.value.next_retry_delay == timedelta(seconds=12)  # type: ignore[attr-defined]
    assert model.asked == 1
