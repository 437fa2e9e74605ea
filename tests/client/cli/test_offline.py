"""What the command line does without a server."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from client.cli.app import COMMANDS
from client.cli.lazy import LazyCommand
from tests.client.cli.conftest import Cli, command

NOBODY = "localhost:1"
PLAIN = {"NO_COLOR": "1", "COLUMNS": "120"}


def test_help_lists_every_command(cli: Cli) -> None:
    done = cli("--help", **PLAIN)
    assert done.returncode == 0
    assert all(f" {name} " in done.stdout for name in COMMANDS)
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_every_listed_command_is_there(name: str) -> None:
    module, help = COMMANDS[name]
    command = LazyCommand(name, f"client.cli.{module}", help).load()
    assert command.name == name
    assert command.help


def test_the_version_is_printed(cli: Cli) -> None:
    done = cli("--version")
    assert (done.returncode, done.stdout.split()[0]) == (0, "apprentice")


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["status", "--nonsense"],
        ["run", "t"],
        ["run", "t", "--input", "{}", "--deadline", "-1"],
        ["batch", "t", "in.jsonl"],
        ["batch", "t", "in.jsonl", "--output", "o", "--concurrency", "0"],
    ],
)
def test_bad_usage_exits_with_2(cli: Cli, arguments: list[str]) -> None:
    done = cli(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr
    assert done.stderr


def test_a_misspelt_command_is_told_the_right_one(cli: Cli) -> None:
    assert "Did you mean 'status'?" in cli("statsu", **PLAIN).stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "t", "--input", "{oops"], "--input: not valid JSON: key must be a string at column 2"),
        (["run", "t", "--input", '{"a": NaN}'], "at column 7"),
        (["run", "t", "--input", "[]"], "expected a JSON object, got a list"),
        (["run", "t", "--input", "@none.json"], "cannot read none.json"),
        (["run", "t", "--input", "{}", "--request-id", "x" * 201], "expected 1 to 200 characters"),
        (["batch", "t", "none.jsonl", "--output", "o"], "cannot read none.jsonl"),
        (["force-remote", "t", "--until", "2001-01-01"], "in the past"),
        (["force-remote", "t", "--for", "soon"], "expected a duration"),
        (["force-remote", "t", "--for", "1h", "--off"], "exclude each other"),
        (["budget", "set"], "give --daily, --weekly or --monthly"),
        (["budget", "set", "--daily", "ten"], "--daily: expected an amount such as 10.00, got 'ten'; `none` is no cap"),
        (["budget", "set", "t", "--monthly", "-1"], "--monthly: expected an amount of at least 0"),
        (["reconcile", "t", "r-1", "--cost", "NaN"], "--cost: expected an amount of at least 0"),
        (["reconcile", "t", "", "--cost", "0"], "REQUEST_ID"),
        (["retire", "t"], "`--yes` says so"),
        (["apply"], "apprentice.yaml:1: there is no such file"),
        (["worker", "--config", "none.yaml"], "none.yaml:1: there is no such file"),
    ],
)
def test_what_is_wrong_is_said_before_any_server_is_asked(cli: Cli, arguments: list[str], words: str) -> None:
    done = cli(*arguments, TEMPORAL_ADDRESS=NOBODY)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
    assert done.stderr.startswith("error: ")
    assert "\x1b" not in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["status"],
        ["status", "t", "--json"],
        ["watch"],
        ["run", "t", "--input", "{}"],
        ["batch", "t", "in.jsonl", "--output", "out.jsonl"],
        ["force-remote", "t", "--off"],
        ["pause-coaching", "t"],
        ["retrain", "t"],
        ["rollback", "t", "--to", "1"],
        ["budget"],
        ["budget", "--json"],
        ["budget", "set", "--daily", "20", "--weekly", "none"],
        ["budget", "freeze", "t"],
        ["budget", "unfreeze"],
        ["reconcile", "t", "r-1", "--cost", "0.01"],
        ["retire", "t", "--yes"],
        ["apply"],
        ["worker"],
        ["up"],
    ],
)
def test_without_a_server_it_exits_with_3(cli: Cli, tmp_path: Path, arguments: list[str]) -> None:
    assert cli("init", "--yes").returncode == 0
    (tmp_path / "in.jsonl").write_text('{"text": "x"}\n')
    done = cli("--address", NOBODY, *arguments)
    assert (done.returncode, done.stdout) == (3, "")
    assert f"error: no Temporal server answers at {NOBODY}" in done.stderr
    assert not (tmp_path / "out.jsonl").exists()


@pytest.mark.parametrize(("answer", "code", "words"), [("n", 2, "t goes on"), ("y", 3, "no Temporal server")])
def test_on_a_terminal_retiring_a_task_is_asked_first(answer: str, code: int, words: str) -> None:
    terminal, stdin = pty.openpty()
    os.write(terminal, f"{answer}\n".encode())
    environ = os.environ | {"TEMPORAL_ADDRESS": NOBODY}
    done = subprocess.run(command("retire", "t"), stdin=stdin, env=environ, capture_output=True, text=True, check=False)
    for end in (terminal, stdin):
        os.close(end)
    assert (done.returncode, done.stdout) == (code, "")
    assert "End the task t?" in done.stderr
    assert words in done.stderr


def test_apply_of_a_task_that_the_configuration_lacks_names_the_right_one(cli: Cli) -> None:
    assert cli("init", "--yes").returncode == 0
    done = cli("apply", "classify_tickt", TEMPORAL_ADDRESS=NOBODY)
    assert (done.returncode, done.stdout) == (2, "")
    assert "unknown task 'classify_tickt'; did you mean `classify_ticket`?" in done.stderr


def test_an_input_file_is_never_its_own_output(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text('{"text": "x"}\n')
    assert cli("batch", "t", "in.jsonl", "--output", "./in.jsonl").returncode == 2
    assert (tmp_path / "in.jsonl").read_text() == '{"text": "x"}\n'


def test_init_writes_what_validates_and_never_overwrites(cli: Cli, tmp_path: Path) -> None:
    done = cli("init", "--yes", "--name", "sort_mail", "--output-fields", "urgent: bool, folder: [inbox, spam, no]")
    assert done.returncode == 0, done.stderr
    written = (tmp_path / "apprentice.yaml").read_text()
    assert "no" in written
    assert "1 task: sort_mail" in cli("validate").stdout
    again = cli("init", "--yes")
    assert again.returncode == 2
    assert "exists already" in again.stderr
    assert (tmp_path / "apprentice.yaml").read_text() == written


@pytest.mark.parametrize(
    "remote",
    [
        *(["--provider", name] for name in ("anthropic", "openai", "google", "openai_compatible", "simulated")),
        ["--provider", "google", "--model", "gemini-2.5-pro"],
        ["--provider", "anthropic", "--model", "claude-opus-5-5"],
    ],
    ids=" ".join,
)
def test_init_writes_what_validates_for_every_provider_and_for_models_that_think(cli: Cli, remote: list[str]) -> None:
    done = cli("init", "--yes", *remote)
    assert done.returncode == 0, done.stderr


def test_init_takes_the_address_of_a_server_of_ones_own(cli: Cli, tmp_path: Path) -> None:
    address = "https://models.example/v1"
    named = ("--provider", "openai_compatible", "--model", "gpt-4o-mini", "--base-url", address)
    done = cli("init", "--yes", *named)
    assert done.returncode == 0, done.stderr
    assert f'base_url: "{address}"' in (tmp_path / "apprentice.yaml").read_text()


def test_init_asks_and_asks_again_when_the_answer_is_wrong(cli: Cli, tmp_path: Path) -> None:
    answers = ["Sort Mail", "sort_mail", "Sorts mail", "text: strng", "text: str, age?: int, to: list[str]"]
    answers += ["folder: [inbox, spam]", "oracle", "simulated", "olama", "embedded", "", "lots", "2.50"]
    done = cli("init", "mail.yaml", stdin="\n".join(answers) + "\n")
    assert done.returncode == 0, done.stderr
    assert "did you mean str?" in done.stderr
    written = (tmp_path / "mail.yaml").read_text()
    assert "daily: 2.50" in written
    assert '{"text": "str", "age?": "int", "to": "list[str]"}' in written
    assert cli("validate", "mail.yaml").returncode == 0


def test_init_without_answers_writes_nothing(cli: Cli, tmp_path: Path) -> None:
    done = cli("init", stdin="sort_mail\n")
    assert done.returncode == 2
    assert "--yes" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "option",
    [
        ["--name", "No Name"],
        ["--provider", "oracle"],
        ["--input-fields", "text: strng"],
        ["--output-fields", "{"],
        ["--daily-cap", "-1"],
        ["--daily-cap", "NaN"],
        ["--model", "no-such-model-anywhere"],
        ["--provider", "recorded", "--traffic", "none.jsonl"],
    ],
)
def test_init_with_a_wrong_option_writes_nothing(cli: Cli, tmp_path: Path, option: list[str]) -> None:
    done = cli("init", "--yes", *option)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_validate_names_every_problem_with_its_line(cli: Cli, tmp_path: Path) -> None:
    cli("init", "--yes", "good.yaml")
    text = (tmp_path / "good.yaml").read_text()
    (tmp_path / "bad.yaml").write_text(text.replace("min_floor: 0.02", "min_flor: 2").replace("0.85", "85"))
    line = next(n for n, line in enumerate(text.splitlines(), start=1) if "min_floor" in line)
    done = cli("validate", "bad.yaml")
    assert (done.returncode, done.stdout) == (2, "")
    assert f"bad.yaml:{line}: sampling.min_flor: unknown key; did you mean `min_floor`?" in done.stderr
    assert "phase2_to_phase3" in done.stderr
    report = json.loads(cli("validate", "bad.yaml", "--json").stdout)
    assert report["valid"] is False
    assert {problem["line"] for problem in report["problems"]} >= {line}


def test_the_configuration_is_named_by_option_or_environment(cli: Cli) -> None:
    cli("init", "--yes", "other.yaml")
    assert cli("-c", "other.yaml", "validate").returncode == 0
    assert cli("validate", "-c", "other.yaml").returncode == 0
    assert cli("validate", APPRENTICE_CONFIG="other.yaml").returncode == 0
    assert cli("-c", "none.yaml", "validate", APPRENTICE_CONFIG="other.yaml").returncode == 2


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in ("demo", "simulate", "report", "store")])
def test_a_command_brings_only_what_it_needs(name: str) -> None:
    """Scikit-learn alone takes a second to import; a client of a running worker has no use for it."""
    module = COMMANDS[name][0]
    heavy = ["sklearn", "sqlalchemy"] + (
        [] if name in ("init", "validate", "apply", "worker", "up") else ["genai_prices"]
    )
    code = f"import sys, client.cli.{module}; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
