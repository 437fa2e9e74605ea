"""An allowance of remote calls on a real server: the count holds under concurrency, and the local model stands in."""

import pytest

from apprentice.messages import ForceRemote, Source
from client.errors import BudgetExhausted, RequestFailed
from tests.fakes.provider.process import FakeProvider
from tests.workflows.conftest import Running, SettingsOf
from tests.workflows.traffic import send, settled, tickets

CALLS = 70


async def test_no_more_calls_than_allowed_are_made_in_a_burst_and_the_local_model_serves_the_rest(
    running: Running, settings_of: SettingsOf
) -> None:
    settings = settings_of(allowance={"remote_calls": CALLS, "period": "monthly"})
    async with running(settings) as apprentice:
        first = await send(apprentice, settings.name, tickets(50))
        await settled(apprentice, settings.name)
        await apprentice.operate(settings.name, ForceRemote())
        later = await send(apprentice, settings.name, tickets(60, first=1000), at_once=60)
        status = await apprentice.status(settings.name)
    assert all(result.trace.served_by is Source.REMOTE for result in first)
    remote = [result for result in later if result.trace.served_by is Source.REMOTE]
    assert len(first) + len(remote) == CALLS
    assert all(result.degraded for result in later if result.trace.served_by is Source.LOCAL)
    assert status.allowance is not None
    assert (status.allowance.calls, status.allowance.taken) == (CALLS, CALLS)
    assert status.allowance.resets is not None
    assert status.forced_remote


async def test_a_version_of_little_may_answer_at_once_where_calls_are_few(
    running: Running, settings_of: SettingsOf
) -> None:
    settings = settings_of(allowance={"remote_calls": 20, "period": "daily"})
    async with running(settings) as apprentice:
        await send(apprentice, settings.name, tickets(20))
        await settled(apprentice, settings.name)
        result = (await send(apprentice, settings.name, tickets(1, first=1000)))[0]
    assert result.trace.served_by is Source.LOCAL
    assert result.degraded


async def test_a_free_model_is_asked_as_often_as_allowed_though_nothing_that_it_says_can_be_used(
    running: Running, settings_of: SettingsOf
) -> None:
    """That a call cost nothing does not mean that there was none."""
    with FakeProvider() as provider:
        provider.fail("refusal", calls=10)
        remote = {"provider": "openai_compatible", "model": "free", "price": {"per_request": "0"}}
        remote |= {"base_url": provider.url("openai_compatible")}
        settings = settings_of(remote=remote, allowance={"remote_calls": 3, "period": "monthly"})
        async with running(settings) as apprentice:
            for ticket in tickets(3):
                with pytest.raises(RequestFailed, match="ContentRefused"):
                    await apprentice.run(settings.name, ticket)
            with pytest.raises(BudgetExhausted, match="no remote call of the allowance is left"):
                await apprentice.run(settings.name, tickets(1, first=3)[0])
            status = await apprentice.status(settings.name)
        assert len(provider.bill()) == 3
    assert status.allowance is not None
    assert status.allowance.taken == 3


async def test_an_answer_out_of_the_cache_takes_no_call(running: Running, settings_of: SettingsOf) -> None:
    settings = settings_of(cache={"ttl": "1h"}, allowance={"remote_calls": 2, "period": "monthly"})
    async with running(settings) as apprentice:
        results = [await apprentice.run(settings.name, ticket) for ticket in tickets(1) * 4]
        status = await apprentice.status(settings.name)
    assert [result.trace.copied for result in results] == [False, True, True, True]
    assert status.allowance is not None
    assert status.allowance.taken == 1
