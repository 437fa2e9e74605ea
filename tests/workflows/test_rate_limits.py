"""Callers behind a rate limit wait for their turn and are answered, on a real server."""

import asyncio
import time

from tests.workflows.conftest import Running, SettingsOf


async def test_callers_wait_for_their_turn_on_the_spot_or_by_coming_back(
    running: Running, settings_of: SettingsOf
) -> None:
    """Four a minute is one in fifteen seconds: longer than a worker's slot is kept for a call that waits."""
    base = settings_of()
    settings = settings_of(remote=base.remote.model_dump() | {"rate_limits": {"requests_per_minute": 4}})
    async with running(settings) as apprentice:
        began = time.monotonic()
        asks = (apprentice.run(settings.name, {"text": f"call {n}"}, deadline=60) for n in range(2))
        results = await asyncio.gather(*asks)
        took = time.monotonic() - began
        status = await apprentice.status(settings.name)
    assert all(result.trace.cost > 0 for result in results)
    assert took > 11
    assert (status.requests, status.failed) == (2, 0)
    assert status.spend == sum(result.trace.cost for result in results)
