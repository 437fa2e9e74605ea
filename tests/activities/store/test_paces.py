"""The state of an account, changed by one after the other."""

import asyncio

import pytest

from activities.store import Store, StoreError


def one_more(text: str | None) -> tuple[str, int]:
    count = int(text or 0) + 1
    return str(count), count


async def test_an_account_starts_with_nothing_and_each_change_sees_the_last(store: Store) -> None:
    assert await store.paces.change("a", lambda text: ("x", text)) is None
    assert await store.paces.change("a", lambda text: ("y", text)) == "x"
    assert await store.paces.change("b", lambda text: ("z", text)) is None
    assert await store.paces.change("a", lambda text: ("", text)) == "y"


async def test_no_change_is_lost_when_two_workers_make_them_at_the_same_time(url: str) -> None:
    async with await Store.open(url) as one, await Store.open(url) as other:
        counts = await asyncio.gather(*(each.paces.change("a", one_more) for each in [one, other] * 50))
    assert sorted(counts) == list(range(1, 101))


async def test_a_change_that_fails_leaves_the_state_as_it_was(store: Store) -> None:
    def broken(text: str | None) -> tuple[str, None]:
        raise RuntimeError

    await store.paces.change("a", lambda _: ("before", None))
    with pytest.raises(RuntimeError):
        await store.paces.change("a", broken)
    assert await store.paces.change("a", lambda text: ("after", text)) == "before"


async def test_a_closed_store_is_a_store_error(url: str) -> None:
    store = await Store.open(url)
    await store.close()
    with pytest.raises(StoreError):
        await store.paces.change("a", one_more)
