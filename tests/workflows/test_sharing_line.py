"""Who asks, and who waits for whose answer."""

import asyncio

from workflows.sharing import Sharing


async def test_the_second_gets_the_first_ones_answer_and_a_third_that_comes_later_asks_anew() -> None:
    sharing = Sharing()
    assert await sharing.follow("input", "first") is None
    second = asyncio.create_task(sharing.follow("input", "second"))
    await asyncio.sleep(0)
    sharing.done("input", "first", answered=True)
    assert await second == "first"
    assert await sharing.follow("input", "third") is None


async def test_when_the_first_gets_no_answer_all_that_waited_ask_at_once_not_one_by_one() -> None:
    sharing = Sharing()
    assert await sharing.follow("input", "first") is None
    others = [asyncio.create_task(sharing.follow("input", f"other-{n}")) for n in range(100)]
    await asyncio.sleep(0)
    sharing.done("input", "first", answered=False)
    assert await asyncio.wait_for(asyncio.gather(*others), 5) == [None] * 100


async def test_one_that_does_not_lead_cannot_end_the_waiting() -> None:
    sharing = Sharing()
    assert await sharing.follow("input", "first") is None
    follower = asyncio.create_task(sharing.follow("input", "second"))
    await asyncio.sleep(0)
    sharing.done("input", "second", answered=True)
    await asyncio.sleep(0)
    assert not follower.done()
    sharing.done("input", "first", answered=True)
    assert await follower == "first"
