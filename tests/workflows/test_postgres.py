"""Two workers on one PostgreSQL store."""

from collections import Counter
from contextlib import AsyncExitStack
from decimal import Decimal

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from activities.store import Store, Unknown
from apprentice.messages import Source
from client import Apprentice
from tests.conftest import DevEnv
from tests.workflows.conftest import SettingsOf
from tests.workflows.traffic import QUICK, send, settled, tickets
from workers.worker import worker


async def test_a_task_is_taught_and_served_by_two_workers_on_one_store(
    dev_env: DevEnv, settings_of: SettingsOf, postgres_url: str
) -> None:
    settings = settings_of(**QUICK)
    async with AsyncExitStack() as stack:
        for _ in range(2):  # each with a connection of its own: the server takes them for two processes
            client = await Client.connect(dev_env.address, data_converter=pydantic_data_converter)
            await stack.enter_async_context(worker(client, postgres_url, settings.name))
        apprentice = Apprentice(dev_env.client, task_queue=settings.name, concurrency=100)
        await apprentice.apply(settings)
        first = await send(apprentice, settings.name, tickets(70))
        status = await settled(apprentice, settings.name)
        second = await send(apprentice, settings.name, tickets(60, first=70))
        while Source.LOCAL not in {result.trace.served_by for result in second} and len(second) < 600:
            second += await send(apprentice, settings.name, tickets(20, first=70 + len(second)))

    assert [version.state for version in status.versions] == ["promoted"]
    assert Counter(result.trace.served_by for result in second)[Source.LOCAL] > 0
    paid = sum((result.trace.cost for result in first + second), Decimal(0))
    async with await Store.open(postgres_url) as store:
        assert await store.journal.spend(settings.name) == paid
        assert await store.journal.unknown(settings.name) == Unknown(0, Decimal(0))
        for result in first + second:
            served = await store.journal.served(settings.name, result.request_id)
            assert served is not None
            assert served.answer.output == result.output
