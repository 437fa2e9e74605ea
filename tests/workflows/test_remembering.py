"""What a life leaves in the store is what another policy is judged by."""

import asyncio
import random
from pathlib import Path

import pytest

from activities.store.remembering import remembered
from apprentice.messages import Phase, Source
from apprentice.whatif import what_if
from tests.workflows.conftest import Running, SettingsOf
from tests.workflows.traffic import QUICK, send, settled, tickets

pytestmark = pytest.mark.slow


async def test_every_request_is_remembered_with_how_probable_its_comparison_was(
    running: Running, settings_of: SettingsOf, tmp_path: Path
) -> None:
    settings = settings_of(**QUICK)
    async with running(settings) as apprentice:
        results = await send(apprentice, settings.name, tickets(60))
        await settled(apprentice, settings.name)
        for first in range(100, 300, 20):
            results += await send(apprentice, settings.name, tickets(20, first=first))
        status = await apprentice.status(settings.name)
    assert status.phase is Phase.AUTONOMOUS
    memory = await asyncio.to_thread(remembered, f"sqlite:///{tmp_path}/store.db", settings.name)
    requests = memory.log.requests
    assert len(requests) == len(results) == 260
    local = [result.trace for result in results if result.trace.served_by is Source.LOCAL]
    assert local
    assert sorted(one.chance or 0.0 for one in requests if one.local) == sorted(one.propensity for one in local)
    assert sorted(one.confidence or 0.0 for one in requests if one.local) == sorted(
        one.confidence or 0.0 for one in local
    )
    scores = [result.trace.score for result in results if result.trace.score is not None]
    assert sorted(one.score for one in requests if one.score is not None) == sorted(scores)
    found = what_if(settings, memory.log, memory.input, random.Random(0).randrange(10))
    assert found.logged.local == len(local)
    assert found.logged.cost.mean == pytest.approx(float(status.spend))
