"""A task that is asked few different things, on a real server: it is taught and tried all the same."""

from apprentice.messages import Phase
from tests.workflows.conftest import Running, SettingsOf
from tests.workflows.traffic import QUICK, send, settled, tickets


async def test_fewer_inputs_than_the_examples_asked_for_bring_a_version_that_serves(
    running: Running, settings_of: SettingsOf
) -> None:
    settings = settings_of(**QUICK)
    few = tickets(24)
    async with running(settings) as apprentice:
        for _ in range(4):
            await send(apprentice, settings.name, few)
        assert (await settled(apprentice, settings.name)).version == 1
        for _ in range(10):
            await send(apprentice, settings.name, few)
            if (status := await apprentice.status(settings.name)).phase is Phase.AUTONOMOUS:
                break
        served = await send(apprentice, settings.name, few)
    assert status.phase is Phase.AUTONOMOUS, status.explanation
    assert status.examples == 24
    assert any(result.trace.served_by == "local" for result in served)
