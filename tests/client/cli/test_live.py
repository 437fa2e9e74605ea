"""The command line against a real server, with the worker that `apprentice worker` starts."""

import asyncio
import json
import os
import signal
import socket
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from temporalio.client import Client

from tests.client.cli.place import Place, eventually, place_of
from tests.conftest import DevEnv
from workers.dev_server import free_port
from workflows.ids import lifecycle_id


@pytest.fixture(scope="module")
def place(dev_env: DevEnv, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A task that runs, with its worker."""
    place = place_of(dev_env, tmp_path_factory.mktemp("place"), latency=0.02)
    worker = place.start("worker")
    assert worker.stdout is not None
    assert "Ctrl-C stops it" in worker.stdout.readline()
    applied = place.cli("apply", "--json")
    assert json.loads(applied.stdout)["started"] == [place.task], applied.stderr
    yield place
    worker.send_signal(signal.SIGTERM)
    _, errors = worker.communicate(timeout=30)
    assert (worker.returncode, "Traceback" in errors) == (0, False)


def test_run_prints_the_output_and_nothing_else(place: Place) -> None:
    done = place.cli("run", place.task, "--input", '{"text": "hello"}')
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["category"] in ("billing", "shipping", "account")


def test_run_reads_its_input_from_a_file_or_stdin(place: Place) -> None:
    (place.folder / "one.json").write_text('{"text": "from a file"}')
    assert place.cli("run", place.task, "--input", "@one.json").returncode == 0
    assert place.cli("run", place.task, "--input", "-", stdin='{"text": "from stdin"}').returncode == 0


def test_the_same_request_id_gets_the_same_answer_and_is_paid_once(place: Place) -> None:
    ask = ("run", place.task, "--input", '{"text": "again"}', "--request-id", "twice", "--json")
    first, second = json.loads(place.cli(*ask).stdout), json.loads(place.cli(*ask).stdout)
    assert (first["trace"]["replayed"], second["trace"]["replayed"]) == (False, True)
    assert first["output"] == second["output"]
    assert Decimal(place.status()["spend"]) >= Decimal(first["trace"]["cost"]) > 0


def test_an_input_that_does_not_fit_is_bad_usage(place: Place) -> None:
    done = place.cli("run", place.task, "--input", '{"txt": "x"}')
    assert (done.returncode, done.stdout) == (2, "")
    assert "text: is missing" in done.stderr


def test_a_deadline_that_passes_is_a_failed_request(place: Place) -> None:
    done = place.cli("run", place.task, "--input", '{"text": "x"}', "--deadline", "0.001")
    assert done.returncode == 1
    assert "within 0.001 s" in done.stderr


@pytest.mark.parametrize("arguments", [["run", "TASK", "--input", "{}"], ["status", "TASK"], ["retrain", "TASK"]])
def test_a_misspelt_task_is_told_the_right_one(place: Place, arguments: list[str]) -> None:
    done = place.cli(*[place.task[:-1] if argument == "TASK" else argument for argument in arguments])
    assert (done.returncode, done.stdout) == (2, "")
    assert place.task in done.stderr
    assert "did you mean" in done.stderr


def test_status_lists_all_tasks_in_plain_text(place: Place) -> None:
    eventually(lambda: place.task in place.cli("status").stdout)  # the list of what runs is a moment behind
    assert "\x1b" not in place.cli("status").stdout


@pytest.fixture
def abandoned(place: Place) -> Iterator[str]:
    """A task that runs beside it, for which no worker is running."""
    name = f"{place.task}_abandoned"
    text = (place.folder / "apprentice.yaml").read_text().replace(place.task, name)
    (place.folder / "abandoned.yaml").write_text(text)
    assert place.cli("apply", "-c", "abandoned.yaml").returncode == 0
    eventually(lambda: name in place.cli("status", "--json").stdout)
    yield name
    asyncio.run(_terminate(place, name))


async def _terminate(place: Place, name: str) -> None:
    client = await Client.connect(place.environ["TEMPORAL_ADDRESS"])
    await client.get_workflow_handle(lifecycle_id(name)).terminate()


def test_a_task_without_a_worker_keeps_the_others_from_nobody(place: Place, abandoned: str) -> None:
    shown, document, report = place.cli("status"), place.cli("status", "--json"), place.cli("report", "--json")
    assert [done.returncode for done in (shown, document, report)] == [1, 1, 1]
    assert place.task in shown.stdout
    assert "no answer from" in shown.stderr
    assert abandoned in shown.stderr
    for done in (document, report):
        told = json.loads(done.stdout)
        assert place.task in {one["task"] for one in told["tasks"]}
        assert abandoned in told["silent"]


def test_watching_goes_on_beside_a_task_without_a_worker(place: Place, abandoned: str) -> None:
    watching = place.start("watch", "--json", "--interval", "0.2")
    assert watching.stdout is not None
    looks = [json.loads(watching.stdout.readline()) for _ in range(2)]
    watching.send_signal(signal.SIGINT)
    _, errors = watching.communicate(timeout=30)
    assert place.task in {look["task"] for look in looks}
    assert errors.count("no answer from") == errors.count(abandoned) == 1  # once, not at each look


def test_status_of_one_task_explains_it(place: Place) -> None:
    status = place.status()
    shown = place.cli("status", place.task).stdout
    assert status["task"] == place.task
    assert status["explanation"] in shown
    assert {"local_share", "savings", "caps", "versions", "alerts"} <= status.keys()


def test_watch_prints_one_document_a_look(place: Place) -> None:
    watching = place.start("watch", place.task, "--json", "--interval", "0.2")
    assert watching.stdout is not None
    looks = [json.loads(watching.stdout.readline()) for _ in range(3)]
    watching.send_signal(signal.SIGINT)
    _, errors = watching.communicate(timeout=30)
    assert [look["task"] for look in looks] == [place.task] * 3
    assert (watching.returncode, errors) == (130, "")


def test_applying_again_updates_and_a_changed_schema_is_refused(place: Place) -> None:
    assert json.loads(place.cli("apply", "--json").stdout)["updated"] == [place.task]
    text = (place.folder / "apprentice.yaml").read_text()
    (place.folder / "changed.yaml").write_text(text.replace("{text: str}", "{text: str, more: str}"))
    done = place.cli("apply", "-c", "changed.yaml", "--json")
    refused = json.loads(done.stdout)["refused"]
    assert (done.returncode, [one["task"] for one in refused]) == (2, [place.task])
    assert "apprentice apply --new-version" in refused[0]["message"]


def test_apply_names_what_runs_but_is_not_in_the_configuration(place: Place) -> None:
    text = (place.folder / "apprentice.yaml").read_text()
    (place.folder / "second.yaml").write_text(text.replace(f"name: {place.task}", f"name: {place.task}_b"))
    eventually(lambda: place.task in place.cli("status").stdout)
    done = place.cli("apply", "-c", "second.yaml")
    assert (done.returncode, done.stdout) == (0, f"started {place.task}_b\n")
    assert place.task in done.stderr.split("left as they are:")[1]


def test_orders_are_carried_out_and_explained(place: Place) -> None:
    assert "everything to the remote model until" in place.cli("force-remote", place.task, "--for", "2h").stdout
    assert place.status()["forced_until"] is not None
    place.cli("force-remote", place.task, "--off")
    assert place.status()["forced_remote"] is False
    assert json.loads(place.cli("pause-coaching", place.task, "--json").stdout)["coaching_paused"] is True
    assert json.loads(place.cli("pause-coaching", place.task, "--off", "--json").stdout)["coaching_paused"] is False
    refused = place.cli("rollback", place.task)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "no version has been promoted yet" in refused.stderr


def test_batch_writes_one_row_a_request_in_order_and_names_failed_lines(place: Place) -> None:
    lines = ['{"input": {"text": "a"}, "output": {"x": 1}}', "{oops", '{"txt": "b"}', '{"text": "c"}']
    (place.folder / "mixed.jsonl").write_text("\n".join(lines) + "\n")
    done = place.cli("batch", place.task, "mixed.jsonl", "--output", "mixed.out", "--json")
    summary = json.loads(done.stdout)
    assert (done.returncode, summary["answered"], summary["failed"]) == (1, 2, 2)
    assert [(one["line"], one["error"]) for one in summary["failures"]] == [(2, "InvalidLine"), (3, "InvalidInput")]
    assert "line 2: InvalidLine: not valid JSON" in done.stderr
    assert "\x1b" not in done.stderr
    rows = [json.loads(line, parse_float=Decimal) for line in (place.folder / "mixed.out").read_text().splitlines()]
    assert [row.get("line") for row in rows] == [None, 2, 3, None]
    assert list(rows[0]) == ["request_id", "output", "served_by", "degraded", "cost_usd"]
    assert isinstance(rows[0]["cost_usd"], Decimal)
    assert rows[0]["cost_usd"] > 0


def test_a_batch_of_an_unknown_task_makes_no_file(place: Place) -> None:
    place.write_requests(1)
    assert place.cli("batch", "nobody", "in.jsonl", "--output", "never.jsonl").returncode == 2
    assert not (place.folder / "never.jsonl").exists()


@pytest.mark.crash
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_an_interrupted_batch_goes_on_and_pays_for_nothing_twice(place: Place, how: signal.Signals) -> None:
    count, output = 120, place.folder / "out.jsonl"
    output.unlink(missing_ok=True)
    lines = (json.dumps({"text": f"{how.name} {n}"}) for n in range(count))
    (place.folder / "in.jsonl").write_text("\n".join(lines) + "\n")
    before = place.status()
    batch = place.start("batch", place.task, "in.jsonl", "--output", "out.jsonl", "--concurrency", "4")
    eventually(lambda: output.exists() and output.read_bytes().count(b"\n") >= 20)
    batch.send_signal(how)
    batch.communicate(timeout=30)
    assert batch.returncode == (130 if how is signal.SIGINT else -9)
    with output.open("ab") as file:
        file.write(b'{"request_id": "half a r')
    kept = output.read_bytes().count(b"\n")
    assert 20 <= kept < count
    done = place.cli("batch", place.task, "in.jsonl", "--output", "out.jsonl", "--json")
    assert (done.returncode, json.loads(done.stdout)["kept"]) == (0, kept)
    rows = place.rows()
    assert (len(rows), len({row["request_id"] for row in rows})) == (count, count)
    assert Decimal(place.status()["spend"]) - Decimal(before["spend"]) == sum(row["cost_usd"] for row in rows)


@pytest.mark.slow
def test_without_a_worker_it_says_so(dev_env: DevEnv, tmp_path: Path) -> None:
    place = place_of(dev_env, tmp_path, latency=0)
    assert place.cli("apply").returncode == 0
    done = place.cli("status", place.task)
    assert (done.returncode, done.stdout) == (3, "")
    assert "no worker is running" in done.stderr


def test_up_runs_everything_drains_and_goes_on_where_it_was(temporal_binary: Path, tmp_path: Path) -> None:
    port, ui_port = free_port(), free_port()
    search = f"{temporal_binary.parent}{os.pathsep}{os.environ['PATH']}"
    place = Place(tmp_path, os.environ | {"PATH": search}, "classify_ticket")
    client = Place(tmp_path, place.environ | {"TEMPORAL_ADDRESS": f"127.0.0.1:{port}"}, place.task)
    assert place.cli("init", "--yes").returncode == 0
    for begun, stop in (("started", signal.SIGINT), ("updated", signal.SIGTERM)):
        up = place.start("up", "--port", port, "--ui-port", ui_port)
        assert up.stdout is not None
        assert up.stdout.readline() == f"{begun} the budget for all tasks\n"
        assert up.stdout.readline() == f"{begun} classify_ticket\n"
        assert f"http://127.0.0.1:{ui_port}" in up.stdout.readline()
        assert "ready: classify_ticket" in up.stdout.readline()
        assert client.cli("run", place.task, "--input", json.dumps({"text": begun})).returncode == 0
        up.send_signal(stop)
        _, errors = up.communicate(timeout=60)
        assert (up.returncode, "Traceback" in errors) == (0, False)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
    assert (tmp_path / ".apprentice" / "temporal.db").is_file()


def test_up_on_a_port_in_use_says_so(place: Place, dev_env: DevEnv) -> None:
    environ = {name: value for name, value in place.environ.items() if name != "TEMPORAL_ADDRESS"}
    port = dev_env.address.rpartition(":")[2]
    done = Place(place.folder, environ, place.task).cli("up", "--port", port)
    assert done.returncode == 3
    assert f"port {port} is in use" in done.stderr
