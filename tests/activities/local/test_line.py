"""So many at once, so many that wait, the longest waiting first, and no place is lost."""

import asyncio
from contextlib import suppress

import pytest

from activities.local.line import Line
from activities.local.model import ServerBusy, ServerDown


async def hold(line: Line, go: asyncio.Event, at_once: int = 2, room: int = 100) -> int:
    """Take a turn until `go`; how many were in flight then."""
    async with line.turn(at_once, room):
        seen = line.in_flight
        await go.wait()
    return seen


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_never_more_at_once_than_the_limit_and_everyone_gets_a_turn() -> None:
    line, most = Line(), 0

    async def turn() -> None:
        nonlocal most
        async with line.turn(3, 100):
            most = max(most, line.in_flight)
            await asyncio.sleep(0.001)

    await asyncio.gather(*(turn() for _ in range(50)))
    assert most == 3
    assert (line.in_flight, line.waiting) == (0, 0)


async def test_who_finds_the_line_full_is_turned_away_at_once() -> None:
    line, go = Line(), asyncio.Event()
    held = [asyncio.create_task(hold(line, go, 1, 2)) for _ in range(3)]
    await settle()
    with pytest.raises(ServerBusy):
        await hold(line, go, 1, 2)
    go.set()
    assert await asyncio.gather(*held) == [1, 1, 1]


async def test_one_with_a_lower_limit_does_not_hold_up_those_behind_it() -> None:
    line, go, stay = Line(), asyncio.Event(), asyncio.Event()
    held = [asyncio.create_task(hold(line, stay, 4)) for _ in range(3)]
    await settle()
    careful = asyncio.create_task(hold(line, go, 1))
    await settle()
    behind = asyncio.create_task(hold(line, go, 4))
    await settle()
    assert (line.in_flight, line.waiting) == (4, 1)
    go.set()
    assert await behind == 4
    stay.set()
    assert await careful == 1
    await asyncio.gather(*held)
    assert (line.in_flight, line.waiting) == (0, 0)


@pytest.mark.parametrize("given", [False, True], ids=["while waiting", "just after its turn came"])
async def test_a_place_is_not_lost_with_the_one_who_waited_for_it(given: bool) -> None:
    line, go = Line(), asyncio.Event()
    first = asyncio.create_task(hold(line, go, 1))
    await settle()
    gone = asyncio.create_task(hold(line, go, 1))
    await settle()
    if given:
        go.set()
        await first  # its place is the next one's, who has not run yet
    gone.cancel()
    with suppress(asyncio.CancelledError):
        await gone
    go.set()
    await first
    async with asyncio.timeout(1), line.turn(1, 0):
        assert line.in_flight == 1


async def test_those_who_wait_are_sent_away_when_the_server_is_down() -> None:
    line, go = Line(), asyncio.Event()
    first = asyncio.create_task(hold(line, go, 1))
    await settle()
    waiting = [asyncio.create_task(hold(line, go, 1)) for _ in range(3)]
    await settle()
    line.dismiss(ServerDown("down"))
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(outcome, ServerDown) for outcome in outcomes)
    go.set()
    assert await first == 1
    assert (line.in_flight, line.waiting) == (0, 0)
