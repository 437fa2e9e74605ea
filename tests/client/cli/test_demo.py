"""The demo as its users have it: one command, killed and resumed at any moment."""

import json
import os
import signal
import sqlite3
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from client.cli.demo_task import task_name
from tests.client.cli.conftest import Cli, command

KEYS = {
    *("task", "requests", "phase", "sampling_rate", "correlation", "correlation_low", "correlation_high"),
    *("local_share", "agreement", "spend_usd", "all_remote_usd", "seconds"),
}
FOLDER = Path(".apprentice") / "demo"


@pytest.fixture
def environ(temporal_binary: Path) -> dict[str, str]:
    return {"PATH": f"{temporal_binary.parent}{os.pathsep}{os.environ['PATH']}"}


def rows_of(tmp_path: Path) -> list[dict[str, Any]]:
    file = tmp_path / FOLDER / "answers.jsonl"
    return [json.loads(line) for line in file.read_bytes().splitlines()] if file.exists() else []


def start(tmp_path: Path, environ: dict[str, str], *arguments: object) -> subprocess.Popen[bytes]:
    with (tmp_path / "out").open("wb") as out, (tmp_path / "err").open("wb") as err:
        return subprocess.Popen(
            command("demo", *arguments), cwd=tmp_path, env=os.environ | environ, stdout=out, stderr=err
        )


def wait_for_answers(tmp_path: Path, count: int, process: subprocess.Popen[bytes]) -> None:
    give_up = time.monotonic() + 90
    while True:
        file = tmp_path / FOLDER / "answers.jsonl"
        if file.exists() and file.read_bytes().count(b"\n") >= count:
            return
        assert process.poll() is None, (tmp_path / "err").read_text()
        assert time.monotonic() < give_up
        time.sleep(0.1)


@pytest.mark.slow
def test_the_demo_tells_the_whole_story_in_one_object(cli: Cli, tmp_path: Path, environ: dict[str, str]) -> None:
    done = cli("demo", "--json", "--seed", "4", **environ)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found.keys() >= KEYS
    assert all(isinstance(found[key], int | float) for key in KEYS - {"task"})
    assert found["task"] == "classify_ticket"
    assert found["requests"] == len(rows_of(tmp_path)) == 2000
    assert found["phase"] == 3
    assert found["sampling_rate"] < 0.2
    assert found["spend_usd"] < found["all_remote_usd"]
    assert found["agreement"] > 0.9
    assert "phase 1" in done.stderr
    assert "phase 3" in done.stderr
    assert cli("validate", "--config", FOLDER / "apprentice.yaml").returncode == 0


@pytest.mark.crash
@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGINT], ids=["kill -9", "Ctrl-C"])
def test_an_interrupted_demo_goes_on_and_pays_for_no_request_twice(
    cli: Cli, tmp_path: Path, environ: dict[str, str], blow: signal.Signals
) -> None:
    process = start(tmp_path, environ, "--requests", 200, "--json")
    wait_for_answers(tmp_path, 60, process)
    process.send_signal(blow)
    assert process.wait(30) != 0
    before = {row["request_id"]: row for row in rows_of(tmp_path)}
    assert 60 <= len(before) < 200
    if blow is signal.SIGINT:
        assert "--resume" in (tmp_path / "err").read_text()
    done = cli("demo", "--resume", "--json", **environ)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["requests"] == 200
    after = {row["request_id"]: row for row in rows_of(tmp_path)}
    assert len(after) == len(rows_of(tmp_path)) == 200
    assert all(after[request_id] == row for request_id, row in before.items())
    with sqlite3.connect(tmp_path / FOLDER / "apprentice.db") as store:
        calls, requests = store.execute("SELECT count(*), count(DISTINCT request_id) FROM calls").fetchone()
    assert calls == requests == sum(row["served_by"] == "remote" for row in after.values())


@pytest.mark.temporal
def test_recorded_traffic_runs_the_same_way_and_a_plain_demo_starts_afresh(
    cli: Cli, tmp_path: Path, environ: dict[str, str]
) -> None:
    rows = [{"input": {"text": f"word{n % 7} {n}"}, "output": {"label": f"l{n % 7}"}} for n in range(60)]
    (tmp_path / "My calls.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for _ in range(2):
        done = cli("demo", "--traffic", "My calls.jsonl", "--requests", 30, "--json", **environ)
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        assert (found["task"], found["requests"], found["agreement"]) == ("my_calls", 30, 1.0)


def test_a_folder_that_is_not_ours_is_left_alone(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / FOLDER).mkdir(parents=True)
    (tmp_path / FOLDER / "precious").write_text("mine")
    done = cli("demo")
    assert done.returncode == 2
    assert "not made by" in done.stderr
    assert (tmp_path / FOLDER / "precious").read_text() == "mine"


def test_bad_traffic_is_named_before_anything_is_removed(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text('{"input": {"a": 1}, "output": {"b": 2}}\noops\n')
    done = cli("demo", "--traffic", "in.jsonl")
    assert done.returncode == 2
    assert "in.jsonl:2: " in done.stderr
    assert not (tmp_path / FOLDER).exists()


@pytest.mark.parametrize(
    ("file", "name"), [("tickets.jsonl", "tickets"), ("My calls (2).jsonl", "my_calls_2"), ("2024.jsonl", "traffic")]
)
def test_a_task_is_named_after_its_file(file: str, name: str) -> None:
    assert task_name(Path(file)) == name
