"""`apprentice simulate` as its users have it."""

import json
import random
import subprocess
from pathlib import Path
from typing import Any

import pytest

from client.cli.generated_tickets import generate
from tests.client.cli.conftest import Cli

KEYS = {
    *("task", "requests", "phase", "sampling_rate", "correlation", "correlation_low", "correlation_high"),
    *("local_share", "agreement", "local_agreement", "spend_usd", "all_remote_usd", "remote_calls", "fine_tunes"),
    *("seconds", "currency", "deferred", "degraded", "failed", "version"),
}
CONFIG = """\
tasks:
  - name: tickets
    input_schema: {text: str}
    output_schema: {category: str, priority: int}
    evaluator: exact_match
    remote: {provider: simulated, model: mine, price: {per_request: 0.5}}
"""


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    file = tmp_path / "traffic.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in generate(300, random.Random(0))))
    return file


def rows_of(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def document(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


def test_a_forecast_is_one_object_and_a_row_for_each_request_in_order(
    cli: Cli, recording: Path, tmp_path: Path
) -> None:
    done = cli("simulate", "tickets", recording, "--output", "out.jsonl", "--json")
    found, rows = document(done), rows_of(tmp_path / "out.jsonl")
    assert found.keys() == KEYS
    assert found["requests"] == len(rows) == 300
    assert all(row.keys() == {"request_id", "output", "served_by", "degraded", "cost_usd"} for row in rows)
    remote = [row["served_by"] == "remote" for row in rows]
    assert all(remote[:50])
    assert found["remote_calls"] == sum(remote)
    teacher = rows_of(recording)
    served = [row["output"] for row, asked in zip(rows, remote, strict=True) if asked]
    assert served == [row["output"] for row, asked in zip(teacher, remote, strict=True) if asked]
    assert found["spend_usd"] == pytest.approx(sum(row["cost_usd"] for row in rows))
    assert "schemas inferred" in done.stderr
    assert "structured_match" in done.stderr


def test_the_same_seed_gives_the_same_rows(cli: Cli, recording: Path, tmp_path: Path) -> None:
    for out in ("one", "two"):
        assert cli("simulate", "tickets", recording, "--output", out, "--seed", "5").returncode == 0
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_no_more_remote_calls_are_made_than_allowed(cli: Cli, recording: Path, tmp_path: Path) -> None:
    found = document(cli("simulate", "tickets", recording, "--max-remote-calls", 40, "-o", "out.jsonl", "--json"))
    rows = rows_of(tmp_path / "out.jsonl")
    assert found["remote_calls"] == sum(row["served_by"] == "remote" for row in rows) == 40
    assert all(row["served_by"] == "local" and row["degraded"] for row in rows[40:])
    assert found["failed"] == 0


def test_requests_that_nobody_can_answer_are_rows_with_an_error_and_exit_code_1(
    cli: Cli, recording: Path, tmp_path: Path
) -> None:
    done = cli("simulate", "tickets", recording, "--max-remote-calls", 0, "--output", "out.jsonl", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["failed"] == 300
    assert rows_of(tmp_path / "out.jsonl")[7]["error"] == "BudgetExhausted"
    assert rows_of(tmp_path / "out.jsonl")[7]["line"] == 8


def test_the_configuration_decides_where_it_has_the_task(cli: Cli, recording: Path, tmp_path: Path) -> None:
    (tmp_path / "apprentice.yaml").write_text(CONFIG)
    done = cli("simulate", "tickets", recording, "--json")
    assert document(done)["all_remote_usd"] == 150.0
    assert "inferred" not in done.stderr
    assert "inferred" in cli("simulate", "other", recording, "--json").stderr


def test_the_summary_is_for_people(cli: Cli, recording: Path) -> None:
    done = cli("simulate", "tickets", recording)
    assert done.returncode == 0
    for words in ("300", "correlation", "agreement", "instead of", "USD"):
        assert words in done.stdout


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{oops", "not valid JSON"),
        ('{"input": {"text": "x"}}', '"output" is missing'),
        ('{"input": "x", "output": {}}', 'needs an object "input"'),
        ('{"input": {"text": 5}, "output": {"category": "a", "priority": 1}}', "input.text"),
        ('{"input": {"text": "x"}, "output": {"category": "a"}}', "output.priority"),
        ('{"request_id": 5, "input": {"text": "x"}, "output": {"category": "a", "priority": 1}}', "request_id"),
    ],
)
def test_a_bad_line_is_named_before_anything_starts(cli: Cli, tmp_path: Path, line: str, words: str) -> None:
    (tmp_path / "apprentice.yaml").write_text(CONFIG)
    good = '{"input": {"text": "x"}, "output": {"category": "a", "priority": 1}}'
    (tmp_path / "in.jsonl").write_text(f"{good}\n\n{line}\n")
    done = cli("simulate", "tickets", "in.jsonl", "--output", "out.jsonl")
    assert done.returncode == 2
    assert done.stdout == ""
    assert "in.jsonl:3: " in done.stderr
    assert words in done.stderr
    assert not (tmp_path / "out.jsonl").exists()


def test_an_id_used_twice_is_named_with_both_lines(cli: Cli, tmp_path: Path) -> None:
    row = '{"request_id": "a", "input": {"text": "x"}, "output": {"label": "y"}}\n'
    (tmp_path / "in.jsonl").write_text(row * 2)
    done = cli("simulate", "tickets", "in.jsonl")
    assert done.returncode == 2
    assert "in.jsonl:2: the request_id is that of line 1" in done.stderr


def test_traffic_that_no_schema_fits_is_one_clear_error(cli: Cli, tmp_path: Path) -> None:
    rows = ['{"input": {"text": "x"}, "output": {"label": 1}}', '{"input": {"text": "x"}, "output": {"label": "y"}}']
    (tmp_path / "in.jsonl").write_text("\n".join(rows))
    done = cli("simulate", "tickets", "in.jsonl")
    assert done.returncode == 2
    assert "output.label" in done.stderr
    assert "apprentice init" in done.stderr


def test_the_traffic_is_never_overwritten(cli: Cli, recording: Path) -> None:
    before = recording.read_bytes()
    assert cli("simulate", "tickets", recording, "--output", recording).returncode == 2
    assert recording.read_bytes() == before


@pytest.mark.parametrize("missing", ["traffic", "config", "output folder"])
def test_a_file_that_is_not_there_is_exit_code_2(cli: Cli, recording: Path, missing: str) -> None:
    arguments = {
        "traffic": ("no.jsonl",),
        "config": (recording, "--config", "no.yaml"),
        "output folder": (recording, "--output", "no/out.jsonl"),
    }[missing]
    done = cli("simulate", "tickets", *arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ") or "no configuration" in done.stderr


def test_a_forecast_for_a_model_server_says_that_another_model_stands_in(
    cli: Cli, recording: Path, tmp_path: Path
) -> None:
    local = "    local: {backend: ollama, base_model: llama3.1:8b, fine_tune_backend: few_shot}\n"
    (tmp_path / "apprentice.yaml").write_text(CONFIG + local)
    done = cli("simulate", "tickets", recording)
    assert done.returncode == 0, done.stderr
    assert "the embedded model stands in for ollama" in " ".join(done.stderr.split())
