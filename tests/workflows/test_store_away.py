"""The store is full for longer than anyone waits: requests fail by name, and nothing is paid or counted for them."""

from pathlib import Path

import pytest

from client import Apprentice
from client.errors import RequestFailed
from tests.chaos.stores import SqliteStore
from tests.conftest import DevEnv
from tests.workflows.conftest import SettingsOf
from tests.workflows.worker_process import WorkerProcess

pytestmark = [pytest.mark.crash, pytest.mark.slow]


async def test_a_request_that_finds_no_store_costs_nothing_and_can_be_sent_again(
    dev_env: DevEnv, settings_of: SettingsOf, tmp_path: Path
) -> None:
    settings, store = settings_of(budget={"daily": "10"}), SqliteStore(tmp_path)
    apprentice = Apprentice(dev_env.client, task_queue=f"queue-{settings.name}")
    with WorkerProcess(dev_env.address, store.url, apprentice.task_queue, tmp_path / "worker.log") as processes:
        workers = [processes.start().pid, processes.start().pid]
        await apprentice.apply(settings)
        first = await apprentice.run(settings.name, {"text": "in time"}, deadline=60)
        await store.fill(workers)
        with pytest.raises(RequestFailed) as caught:
            await apprentice.run(settings.name, {"text": "no store"}, request_id="r-1", deadline=60)
        status = await apprentice.status(settings.name)
        await store.empty(workers)
        again = await apprentice.run(settings.name, {"text": "no store"}, request_id="r-1", attempt=1, deadline=60)
    assert caught.value.kind == "StoreError"
    assert status.spend == first.trace.cost == status.caps[0].settled
    assert status.caps[0].reserved == 0
    assert again.trace.cost > 0
