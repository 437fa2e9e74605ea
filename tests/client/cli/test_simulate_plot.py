"""`simulate --plot` and `--set`: a chart of recorded traffic, and other settings for it."""

import json
import random
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from client.cli.generated_tickets import generate
from tests.client.cli.conftest import Cli

CONFIG = """\
tasks:
  - name: tickets
    input_schema: {text: str}
    output_schema: {category: str, priority: int}
    evaluator: exact_match
    remote: {provider: simulated, model: mine, price: {per_request: 0.5}}
"""
# Stands before the real one on the path: what a machine without the extra sees.
NO_MATPLOTLIB = "raise ModuleNotFoundError('No module named matplotlib', name='matplotlib')\n"


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    file = tmp_path / "traffic.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in generate(250, random.Random(0))))
    return file


def texts(file: Path) -> str:
    """All that can be read in a picture."""
    root = ElementTree.parse(file).getroot()
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    return "\n".join("".join(each.itertext()) for each in root.iter("{http://www.w3.org/2000/svg}text"))


def test_the_chart_names_its_series_and_the_same_seed_draws_the_same(cli: Cli, recording: Path, tmp_path: Path) -> None:
    for name in ("one.svg", "two.svg"):
        done = cli("simulate", "tickets", recording, "--plot", name, "--seed", "3")
        assert done.returncode == 0, done.stderr
        for words in ("agreement", "spent so far", "all remote", "local share", "phase", "request 1 to 250"):
            assert words in done.stdout
    words = texts(tmp_path / "one.svg")
    for series in ("all remote", "spent", "agreement of what is served", "95% interval", "local share"):
        assert series in words
    assert "phase 1 collecting" in words
    assert "phase 2 coaching" in words
    assert "cost so far (USD)" in words
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
    assert [file.name for file in tmp_path.glob(".*.partial")] == []


@pytest.mark.parametrize(("file", "words"), [("chart.png", "the chart is an SVG"), ("no/chart.svg", "no such folder")])
def test_a_chart_that_cannot_be_drawn_is_refused_before_anything_starts(
    cli: Cli, recording: Path, file: str, words: str
) -> None:
    done = cli("simulate", "tickets", recording, "--plot", file)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr


def test_without_matplotlib_the_extra_is_named(cli: Cli, recording: Path, tmp_path: Path) -> None:
    (tmp_path / "lacking").mkdir()
    (tmp_path / "lacking" / "matplotlib.py").write_text(NO_MATPLOTLIB)
    path = ":".join([str(tmp_path / "lacking"), *filter(None, sys.path)])
    done = cli("simulate", "tickets", recording, "--plot", "chart.svg", PYTHONPATH=path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "pip install 'apprentice[plot]'" in done.stderr


def document(cli: Cli, recording: Path, *arguments: str) -> dict[str, Any]:
    done = cli("simulate", "tickets", recording, "--json", *arguments)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("configured", [True, False])
def test_a_setting_changes_the_forecast(cli: Cli, recording: Path, tmp_path: Path, configured: bool) -> None:
    if configured:
        (tmp_path / "apprentice.yaml").write_text(CONFIG)
    never = document(cli, recording, "--set", "confidence_thresholds.phase1_to_phase2=1000")
    assert (never["phase"], never["fine_tunes"], never["remote_calls"]) == (1, 0, 250)
    capped = document(cli, recording, "--set", "remote.price={per_request: 2}")
    assert capped["all_remote_usd"] == 500.0


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("confidence_thresholds.phase2_to_phase3", "write it as KEY=VALUE"),
        ("=0.9", "write it as KEY=VALUE"),
        ("confidence_thresholds.phase2_to_phas3=0.9", "--set confidence_thresholds.phase2_to_phas3: unknown key"),
        ("confidence_thresholds.phase2_to_phase3=0.1", "thresholds out of order"),
        ("confidence_thresholds.phase2_to_phase3=high", "--set confidence_thresholds.phase2_to_phase3: expected a num"),
        ("sampling.min_floor=[", "--set sampling.min_floor: its value is not a YAML value"),
        ("sampling..min_floor=1", "--set sampling..min_floor: a key is names with dots between"),
        ("name=other", "a task keeps its name"),
    ],
)
@pytest.mark.parametrize("configured", [True, False])
def test_a_setting_that_cannot_be_is_named(
    cli: Cli, recording: Path, tmp_path: Path, given: str, words: str, configured: bool
) -> None:
    if configured:
        (tmp_path / "apprentice.yaml").write_text(CONFIG)
    done = cli("simulate", "tickets", recording, "--set", given)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_setting_given_twice_is_refused(cli: Cli, recording: Path) -> None:
    again = ("--set", "sampling.min_floor=0.1")
    done = cli("simulate", "tickets", recording, *again, *again)
    assert done.returncode == 2
    assert "sampling.min_floor is there twice" in done.stderr
