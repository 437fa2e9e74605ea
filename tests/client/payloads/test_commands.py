"""The command line with encryption on: every command reads the same block of apprentice.yaml."""

import asyncio
import json
import signal
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from google.protobuf import json_format
from temporalio.api.common.v1 import Payloads
from temporalio.client import Client

from client.payloads import NO_SETTINGS
from tests.client.cli.place import Place, place_of
from tests.client.payloads.conftest import new_key
from tests.conftest import DevEnv
from workers.dev_server import free_port
from workflows.ids import lifecycle_id

TOKEN = "a-long-enough-token"
LARGE = {"text": "a large ticket " * 20_000}


@pytest.fixture(scope="module")
def place(dev_env: DevEnv, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """An encrypted task that runs, with its worker."""
    place = place_of(dev_env, tmp_path_factory.mktemp("encrypted"), latency=0)
    config = place.folder / "apprentice.yaml"
    block = f"temporal: {{task_queue: {place.task}, encryption_key_env: PAYLOAD_KEYS, codec_token_env: CODEC_TOKEN}}"
    lines = config.read_text().splitlines()
    config.write_text("\n".join([line for line in lines if not line.startswith("temporal:")] + [block, ""]))
    place = replace(place, environ=place.environ | {"PAYLOAD_KEYS": new_key(), "CODEC_TOKEN": TOKEN})
    worker = place.start("worker")
    assert worker.stdout is not None
    line = worker.stdout.readline()
    assert "Ctrl-C stops it" in line, worker.communicate()
    applied = place.cli("apply", "--json")
    assert json.loads(applied.stdout)["started"] == [place.task], applied.stderr
    yield place
    worker.send_signal(signal.SIGTERM)
    _, errors = worker.communicate(timeout=30)
    assert (worker.returncode, "Traceback" in errors) == (0, False)


def with_environ(place: Place, **environ: str | None) -> Place:
    kept = {name: value for name, value in place.environ.items() if name not in environ}
    return replace(place, environ=kept | {name: value for name, value in environ.items() if value is not None})


def test_run_batch_and_status_work_and_large_inputs_lie_beside_the_configuration(place: Place) -> None:
    (place.folder / "large.json").write_text(json.dumps(LARGE))
    done = place.cli("run", place.task, "--input", "@large.json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["category"] in ("billing", "shipping", "account")
    place.write_requests(5)
    assert place.cli("batch", place.task, "in.jsonl", "--output", "out.jsonl").returncode == 0
    assert len(place.rows()) == 5
    assert place.status()["task"] == place.task
    assert list((place.folder / ".apprentice" / "payloads").rglob("*/*"))


def test_without_the_variable_a_command_names_key_and_line(place: Place) -> None:
    for command in (["run", place.task, "--input", "{}"], ["status"], ["worker"], ["codec-server"], ["validate"]):
        done = with_environ(place, PAYLOAD_KEYS=None).cli(*command)
        assert (done.returncode, "Traceback" in done.stderr) == (2, False), done.stderr
        assert "apprentice.yaml:" in done.stderr + done.stdout
        assert (
            "temporal.encryption_key_env: the environment variable PAYLOAD_KEYS is not set" in done.stderr + done.stdout
        )


def test_with_a_wrong_key_a_command_says_so(place: Place) -> None:
    stranger = with_environ(place, PAYLOAD_KEYS=new_key())
    for command in (["run", place.task, "--input", '{"text": "x"}'], ["status", place.task], ["worker"]):
        done = stranger.cli(*command)
        assert (done.returncode, "Traceback" in done.stderr) == (2, False), done.stderr
        assert "cannot be decrypted" in done.stderr
    assert place.cli("run", place.task, "--input", '{"text": "x"}').returncode == 0


def test_a_client_elsewhere_without_a_configuration_is_told_what_it_lacks(place: Place, tmp_path: Path) -> None:
    elsewhere = replace(place, folder=tmp_path)
    done = elsewhere.cli("run", place.task, "--input", '{"text": "x"}')
    assert done.returncode == 2
    assert "encryption_key_env" in done.stderr
    found = with_environ(elsewhere, APPRENTICE_CONFIG=str(place.folder / "apprentice.yaml"))
    assert found.cli("run", place.task, "--input", '{"text": "x"}').returncode == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (json.dumps({"text": "x" * 10_000_000}), "bytes long"),
        ('{"text": ' + "[" * 100_000 + "]" * 100_000 + "}", "not valid JSON"),
        ('{"text": NaN}', "not valid JSON"),
        ('{"text": -Infinity}', "not valid JSON"),
        ('{"text": "\\ud800"}', "not valid JSON"),
        ('{"text": "\\u0000"}', "NUL"),
        ('{"text": ' + "9" * 5000 + "}", "not valid JSON"),
        ('{"text": "a", "text": "b"}', "twice"),
    ],
    ids=["10 MB", "deep", "NaN", "Infinity", "surrogate", "NUL", "huge int", "duplicate"],
)
def test_a_hostile_file_is_refused_by_name(place: Place, text: str, words: str) -> None:
    (place.folder / "hostile.json").write_text(text)
    done = place.cli("run", place.task, "--input", "@hostile.json")
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert words in done.stderr
    (place.folder / "hostile.jsonl").write_text(text + '\n{"text": "are you there"}\n')
    output = place.folder / f"hostile-{abs(hash(text))}.out"
    done = place.cli("batch", place.task, "hostile.jsonl", "--output", output)
    assert (done.returncode, "Traceback" in done.stderr) == (1, False), done.stderr
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    assert ["error" in row for row in rows] == [True, False]


async def test_the_codec_server_lets_those_with_the_token_read_a_history(place: Place, dev_env: DevEnv) -> None:
    client = await Client.connect(dev_env.address, data_converter=NO_SETTINGS)
    history = await client.get_workflow_handle(lifecycle_id(place.task)).fetch_history()
    start = history.events[0].workflow_execution_started_event_attributes.input
    assert b"billing" not in start.SerializeToString()
    port = free_port()
    server = place.start("codec-server", "--port", port)
    try:
        await _listening(port)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
            asked = json.loads(json_format.MessageToJson(start))
            assert (await http.post("/decode", json=asked)).status_code == 401
            answer = await http.post("/decode", json=asked, headers={"Authorization": f"Bearer {TOKEN}"})
        assert b"billing" in json_format.Parse(answer.text, Payloads()).payloads[0].data
        second = place.cli("codec-server", "--port", port)
        assert second.returncode == 3
        assert f"port {port}" in second.stderr
    finally:
        server.send_signal(signal.SIGINT)
        _, errors = server.communicate(timeout=20)
    assert (server.returncode in (0, 130), "Traceback" in errors) == (True, False), errors


async def _listening(port: int) -> None:
    give_up = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            assert time.monotonic() < give_up
            await asyncio.sleep(0.1)


def test_a_codec_server_without_a_token_does_not_start(place: Place) -> None:
    text = (place.folder / "apprentice.yaml").read_text().replace(", codec_token_env: CODEC_TOKEN", "")
    (place.folder / "open.yaml").write_text(text)
    done = place.cli("codec-server", "-c", "open.yaml")
    assert done.returncode == 2
    assert "temporal.codec_token_env" in done.stderr
