import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from temporalio import workflow
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.testing import TimeSkipper
from temporalio.worker import Worker

from workers import dev_server as module
from workers.dev_server import DevServer, DevServerError, dev_server, free_port, main, stop
from workers.temporal_binary import NoTemporalError
from workers.watchdog import is_alive

if TYPE_CHECKING:
    from tests.conftest import DevEnv

STARTER = """
import asyncio, pathlib, sys
from workers.dev_server import dev_server
async def run():
    async with dev_server(pathlib.Path(sys.argv[2]), binary=pathlib.Path(sys.argv[1]), fresh=True) as server:
        print(server.process.pid, server.address, flush=True)
        await asyncio.sleep(600)
asyncio.run(run())
"""


@workflow.defn
class Waits:
    @workflow.run
    async def run(self) -> None:
        await workflow.wait_condition(lambda: False)


@workflow.defn
class Sleeps:
    @workflow.run
    async def run(self) -> timedelta:
        began = workflow.now()
        await workflow.sleep(timedelta(days=2))
        return workflow.now() - began


def start_in_child(binary: Path, db_file: Path) -> tuple[subprocess.Popen[str], int, str]:
    """A process that holds a dev server; its server's pid and address."""
    command = [sys.executable, "-c", STARTER, str(binary), str(db_file)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert child.stdout
    pid, address = child.stdout.readline().split()
    return child, int(pid), address


async def is_gone(pid: int, seconds: float) -> bool:
    give_up = time.monotonic() + seconds
    while is_alive(pid):
        if time.monotonic() > give_up:
            return False
        await asyncio.sleep(0.05)
    return True


async def test_a_running_server_is_used_and_nothing_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", "temporal.internal:7233")
    async with dev_server(binary=Path("/nowhere")) as server:
        assert server == DevServer("temporal.internal:7233")


async def test_the_limits_on_updates_are_lifted(dev_env: "DevEnv") -> None:
    assert dev_env.server.process is not None
    command = " ".join(map(str, dev_env.server.process.args))  # type: ignore[arg-type]
    assert "history.maxInFlightUpdates=0" in command
    assert "history.maxTotalUpdates=0" in command


async def test_the_web_ui_is_served_where_it_says(dev_env: "DevEnv") -> None:
    assert dev_env.server.ui_url is not None
    host, port = dev_env.server.ui_url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")
    assert b"200" in await reader.readline()
    writer.close()


async def test_workflows_survive_in_the_db_file(temporal_binary: Path, tmp_path: Path) -> None:
    db_file = tmp_path / "state" / "temporal.db"
    async with dev_server(db_file, binary=temporal_binary, fresh=True) as server:
        client = await Client.connect(server.address)
        await client.start_workflow(Waits.run, id="waits", task_queue="nobody")
    assert server.process is not None
    assert server.process.returncode == 0
    async with dev_server(db_file, binary=temporal_binary, fresh=True) as server:
        client = await Client.connect(server.address)
        description = await client.get_workflow_handle("waits").describe()
        assert description.status is WorkflowExecutionStatus.RUNNING


async def test_a_db_file_is_used_by_one_server_at_a_time(
    temporal_binary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "DB_LOCK_SECONDS", 0.3)
    db_file = tmp_path / "temporal.db"
    async with dev_server(db_file, binary=temporal_binary, fresh=True):
        with pytest.raises(DevServerError, match=r"temporal\.db is in use by another dev server"):
            async with dev_server(db_file, binary=temporal_binary, fresh=True):
                pass


async def test_a_taken_port_is_named(temporal_binary: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(DevServerError, match=f"port {port} is in use.*TEMPORAL_ADDRESS=127.0.0.1:{port}"):
            async with dev_server(port=port, binary=temporal_binary, fresh=True):
                pass


async def test_a_server_that_ends_at_once_is_reported_with_its_last_words(tmp_path: Path) -> None:
    broken = tmp_path / "temporal"
    broken.write_text("#!/bin/sh\necho 'database is damaged' >&2\nexit 7\n")
    broken.chmod(0o755)
    with pytest.raises(DevServerError, match=r"ended with 7.*database is damaged"):
        async with dev_server(tmp_path / "t.db", binary=broken, fresh=True):
            pass


async def test_the_server_is_stopped_when_the_body_fails(temporal_binary: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        async with dev_server(binary=temporal_binary, fresh=True) as server:
            raise ZeroDivisionError
    assert server.process is not None
    assert server.process.returncode is not None
    assert server.guard is not None
    assert server.guard.returncode is not None


async def test_the_server_is_stopped_when_the_task_is_cancelled(temporal_binary: Path) -> None:
    started: asyncio.Future[DevServer] = asyncio.get_running_loop().create_future()

    async def hold() -> None:
        async with dev_server(binary=temporal_binary, fresh=True) as server:
            started.set_result(server)
            await asyncio.sleep(600)

    task = asyncio.create_task(hold())
    server = await started
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert server.process is not None
    assert server.process.returncode is not None


async def test_a_detached_server_stays(temporal_binary: Path) -> None:
    async with dev_server(binary=temporal_binary, fresh=True, detach=True) as server:
        assert server.guard is None
    try:
        assert server.process is not None
        assert server.process.poll() is None
        await Client.connect(server.address)
    finally:
        stop(server)


async def test_time_is_skipped_in_the_workflow_that_asks_and_in_no_other(
    dev_env: "DevEnv", time_skipper: TimeSkipper
) -> None:
    async with Worker(dev_env.client, task_queue="sleeps", workflows=[Sleeps]):
        left = await dev_env.client.start_workflow(Sleeps.run, id="left-alone", task_queue="sleeps")
        skips = await time_skipper.client.start_workflow(Sleeps.run, id="skips", task_queue="sleeps")
        assert await time_skipper.fast_forward(skips, timedelta(hours=47))
        assert (await skips.describe()).status is WorkflowExecutionStatus.RUNNING
        await time_skipper.fast_forward(skips, timedelta(hours=2))
        assert await skips.result() >= timedelta(days=2)
        assert (await left.describe()).status is WorkflowExecutionStatus.RUNNING
        await left.terminate()


@pytest.mark.crash
async def test_kill_9_of_the_starter_ends_the_server_and_frees_the_db_file(
    temporal_binary: Path, tmp_path: Path
) -> None:
    db_file = tmp_path / "temporal.db"
    child, server_pid, address = start_in_child(temporal_binary, db_file)
    client = await Client.connect(address)
    await client.start_workflow(Waits.run, id="waits", task_queue="nobody")
    os.kill(child.pid, signal.SIGKILL)
    child.communicate()
    async with dev_server(db_file, binary=temporal_binary, fresh=True) as server:
        client = await Client.connect(server.address)
        assert (await client.get_workflow_handle("waits").describe()).status is WorkflowExecutionStatus.RUNNING
    assert await is_gone(server_pid, 5)


@pytest.mark.crash
async def test_ctrl_c_in_the_terminal_does_not_reach_the_server_itself(temporal_binary: Path, tmp_path: Path) -> None:
    child, server_pid, _ = start_in_child(temporal_binary, tmp_path / "temporal.db")
    try:
        assert os.getpgid(server_pid) != os.getpgid(child.pid)
        os.killpg(child.pid, signal.SIGINT)
        child.communicate(timeout=20)
        assert await is_gone(server_pid, 1), "its starter stops it, after its own cleaning up"
    finally:
        child.kill()


def test_ensure_finds_nothing_to_do_when_a_server_is_running(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", "temporal.internal:7233")
    monkeypatch.setattr(module, "find_binary", lambda: pytest.fail("looked for a binary"))
    assert main(["--ensure"]) == 0


def test_ensure_without_a_server_exits_with_3_and_says_why(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def nowhere() -> Path:
        raise NoTemporalError("no Temporal server: nothing to be had")

    monkeypatch.setattr(module, "find_binary", nowhere)
    assert main(["--ensure"]) == 3
    assert capsys.readouterr().err == "error: no Temporal server: nothing to be had\n"


def test_run_in_the_foreground_until_it_is_told_to_stop(temporal_binary: Path) -> None:
    command = [sys.executable, "-m", "workers.dev_server", "--port", str(free_port()), "--ui-port", str(free_port())]
    environment = {**os.environ, "PATH": f"{temporal_binary.parent}{os.pathsep}{os.environ['PATH']}"}
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    assert child.stdout
    assert child.stdout.readline().startswith("Temporal: 127.0.0.1:")
    child.send_signal(signal.SIGTERM)
    _, errors = child.communicate(timeout=20)
    assert (child.returncode, errors) == (0, "")
