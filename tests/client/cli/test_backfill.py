"""`apprentice backfill` as its users have it: what it may cost comes first."""

import json
import signal
from collections.abc import Iterator
from decimal import Decimal

import pytest

from tests.client.cli.place import Place, eventually, place_of
from tests.conftest import DevEnv


@pytest.fixture(scope="module")
def place(dev_env: DevEnv, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A task with batches that takes in no more than fits into its cap, with its worker."""
    place = place_of(dev_env, tmp_path_factory.mktemp("place"), latency=0.02)
    file = place.folder / "apprentice.yaml"
    told = file.read_text().replace("latency_spread: 0}", "latency_spread: 0, batch_seconds: 0.5}\n  batch: true")
    file.write_text(told.replace("  model: teacher", "  model: teacher\n  batch_size: 10"))
    worker = place.start("worker")
    assert worker.stdout is not None
    assert "Ctrl-C stops it" in worker.stdout.readline()
    applied = place.cli("apply", "--json")
    assert json.loads(applied.stdout)["started"] == [place.task], applied.stderr
    yield place
    assert place.cli("retire", place.task, "--yes").returncode == 0  # other tests on this server list all tasks
    worker.send_signal(signal.SIGTERM)
    _, errors = worker.communicate(timeout=30)
    assert (worker.returncode, "Traceback" in errors) == (0, False)


def test_backfill_tells_the_cost_queues_each_input_once_and_the_task_learns(place: Place) -> None:
    place.write_requests(20)
    with (place.folder / "in.jsonl").open("a") as lines:
        lines.write('{"text": "ticket number 1"}\n')
    asked = place.cli("backfill", place.task, "in.jsonl")
    assert (asked.returncode, asked.stdout) == (2, "")
    assert "20 different inputs" in asked.stderr
    assert "at most" in asked.stderr
    assert "--yes" in asked.stderr
    done = place.cli("backfill", place.task, "in.jsonl", "--yes", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["queued"], told["known"], told["refused"], told["batch"]) == (20, 0, 0, True)
    eventually(lambda: place.status()["batch"]["answered"] == 20)
    status = place.status()
    assert status["examples"] == 20
    assert 0 < Decimal(status["spend"]) < Decimal(told["at_most"])
    again = json.loads(place.cli("backfill", place.task, "in.jsonl", "--yes", "--json").stdout)
    assert (again["queued"], again["known"]) == (0, 20)
    assert "20 answered" in place.cli("status", place.task).stdout


def test_lines_that_no_request_could_have_are_told_and_the_others_asked(place: Place) -> None:
    (place.folder / "bad.jsonl").write_text('{"txt": "x"}\nnonsense\n{"text": "the only good one"}\n')
    done = place.cli("backfill", place.task, "bad.jsonl", "--yes", "--json")
    assert done.returncode == 1
    assert (json.loads(done.stdout)["queued"], json.loads(done.stdout)["unusable_lines"]) == (1, 2)
    assert "line 1: text: is missing" in done.stderr


def test_a_task_that_the_configuration_does_not_have_is_bad_usage(place: Place) -> None:
    done = place.cli("backfill", "other", "in.jsonl", "--yes")
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr


def test_without_batches_the_inputs_are_asked_at_once_at_the_full_price(
    dev_env: DevEnv, place: Place, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The same worker serves another task, whose file says nothing of batches."""
    plain = place_of(dev_env, tmp_path_factory.mktemp("plain"), latency=0)
    file = plain.folder / "apprentice.yaml"
    file.write_text(file.read_text().replace(f"task_queue: {plain.task}", f"task_queue: {place.task}"))
    assert plain.cli("apply").returncode == 0
    plain.write_requests(5)
    done = plain.cli("backfill", plain.task, "in.jsonl", "--yes", "--json")
    assert done.returncode == 0, done.stderr
    assert "full price" in done.stderr
    assert json.loads(done.stdout)["queued"] == 5
    assert plain.status()["examples"] == 5
    again = json.loads(plain.cli("backfill", plain.task, "in.jsonl", "--yes", "--json").stdout)
    assert (again["queued"], again["known"]) == (0, 5)
    assert plain.cli("retire", plain.task, "--yes").returncode == 0
