import asyncio
import os
import socket
import subprocess
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from temporalio import workflow
from temporalio.worker import Worker

from workers.healthcheck import FRESH, is_polling

if TYPE_CHECKING:
    from tests.conftest import DevEnv


@workflow.defn
class Nothing:
    @workflow.run
    async def run(self) -> None:
        pass


def check(address: str, queue: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "workers.healthcheck", queue]
    environment = {**os.environ, "TEMPORAL_ADDRESS": address}
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


async def test_a_worker_that_polls_is_healthy(dev_env: "DevEnv") -> None:
    async with Worker(dev_env.client, task_queue="healthy", workflows=[Nothing]):
        await dev_env.client.execute_workflow(Nothing.run, id="healthy", task_queue="healthy")
        result = await asyncio.to_thread(check, dev_env.address, "healthy")
    assert (result.returncode, result.stderr) == (0, "")


async def test_a_worker_elsewhere_or_long_gone_does_not_count(dev_env: "DevEnv") -> None:
    async with Worker(dev_env.client, task_queue="other", workflows=[Nothing]):
        await dev_env.client.execute_workflow(Nothing.run, id="other", task_queue="other")
        now = datetime.now(UTC)
        assert await is_polling(dev_env.client, "other", socket.gethostname(), now)
        assert not await is_polling(dev_env.client, "other", "elsewhere", now)
        assert not await is_polling(dev_env.client, "other", socket.gethostname(), now + FRESH)


async def test_without_a_worker_it_exits_with_1(dev_env: "DevEnv") -> None:
    result = await asyncio.to_thread(check, dev_env.address, "nobody")
    assert result.returncode == 1
    assert "polls task queue nobody" in result.stderr


def test_without_a_server_it_exits_with_3() -> None:
    result = check("127.0.0.1:1", "apprentice")
    assert result.returncode == 3
    assert result.stderr.startswith("no server reachable")
