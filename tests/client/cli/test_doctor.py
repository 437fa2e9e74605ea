"""`apprentice doctor`: each thing that can be wrong, in words that say what to do."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from activities.store import Store
from tests.client.cli.conftest import Cli
from tests.conftest import DevEnv
from tests.fakes.provider.process import FakeProvider

KEY = "a-key-that-must-not-be-shown"
NOWHERE = "127.0.0.1:9"


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeProvider]:
    with FakeProvider(api_key=KEY) as running:
        yield running


def write(folder: Path, remote: str, more: str = "") -> None:
    (folder / "apprentice.yaml").write_text(
        "tasks:\n"
        "  - {name: tickets, input_schema: {text: str}, output_schema: {category: [a, b]}}\n"
        "  - {name: letters, input_schema: {text: str}, output_schema: {category: [a, b]}}\n"
        f"remote: {{price: {{input_per_million: 3, output_per_million: 15}}, {remote}}}\n{more}"
    )


def at(fake: FakeProvider, provider: str, model: str = "teacher") -> str:
    return f"provider: {provider}, model: {model}, base_url: '{fake.url(provider)}', api_key_env: KEY"


def findings(cli: Cli, code: int, *arguments: str, **environ: str) -> dict[str, dict[str, Any]]:
    done = cli("doctor", "--json", "--address", NOWHERE, *arguments, **{"KEY": KEY} | environ)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert KEY not in done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert report["healthy"] is (code == 0)
    return {finding["subject"]: finding for finding in report["findings"]}


@pytest.mark.parametrize("provider", ["anthropic", "openai", "google", "openai_compatible"])
def test_every_provider_is_asked_once_without_paying(
    cli: Cli, tmp_path: Path, fake: FakeProvider, provider: str
) -> None:
    write(tmp_path, at(fake, provider))
    billed = len(fake.bill())
    found = findings(cli, 3)
    assert found[f"{provider} teacher"]["state"] == "ok"
    assert "3 in, 15 out" in found[f"{provider} teacher"]["words"]
    assert found["temporal"]["state"] == "missing"
    assert "apprentice up" in found["temporal"]["words"]
    assert [found[f"embedded for {task}"]["state"] for task in ("tickets", "letters")] == ["ok", "ok"]
    assert found["store"]["words"] == "will be made when a worker starts"
    assert len(fake.bill()) == billed
    assert not list(tmp_path.glob("*.db"))


def test_a_wrong_key_and_an_unknown_model_are_told_apart(cli: Cli, tmp_path: Path, fake: FakeProvider) -> None:
    write(tmp_path, at(fake, "anthropic"))
    wrong = findings(cli, 1, KEY="another-key")["anthropic teacher"]
    assert "the key is missing, wrong" in wrong["words"]
    write(tmp_path, at(fake, "openai", "no-such-model"))
    unknown = findings(cli, 1)["openai no-such-model"]
    assert "model" in unknown["words"]
    assert "404" in unknown["words"]


def test_a_model_server_that_is_not_there_is_named_with_what_to_do(
    cli: Cli, tmp_path: Path, fake: FakeProvider
) -> None:
    local = "backend: ollama, base_model: tiny, fine_tune_backend: few_shot"
    write(tmp_path, at(fake, "openai"), f"local: {{{local}, base_url: 'http://{NOWHERE}'}}\n")
    found = findings(cli, 1)["ollama tiny"]
    assert found["state"] == "failed"
    assert "is it running, and is `local.base_url` right?" in found["words"]


@pytest.mark.temporal
def test_a_server_without_a_worker_is_not_enough(cli: Cli, tmp_path: Path, fake: FakeProvider, dev_env: DevEnv) -> None:
    write(tmp_path, at(fake, "openai"), "temporal: {task_queue: nobodys_queue}\n")
    found = findings(cli, 1, "--address", dev_env.address)
    assert found["temporal"]["state"] == "ok"
    assert dev_env.address in found["temporal"]["words"]
    assert found["search attributes"]["words"] == "are there"
    assert found["workers"]["words"] == "nobody works on task queue nobodys_queue; start `apprentice worker`"


async def test_a_store_is_looked_at_and_left_as_it_is(cli: Cli, tmp_path: Path, fake: FakeProvider) -> None:
    old = Path(__file__).parents[2] / "activities" / "store" / "release_0_1_0.sql"
    write(tmp_path, at(fake, "openai"))
    async with await Store.open(f"sqlite:///{tmp_path}/apprentice.db"):
        pass
    assert findings(cli, 3)["store"]["words"] == "is there"
    shutil.copy(old, tmp_path / "apprentice.db")
    assert "cannot open the store" in findings(cli, 1)["store"]["words"]


def test_a_configuration_with_errors_is_not_examined(cli: Cli, tmp_path: Path) -> None:
    write(tmp_path, "provider: anthropic, model: claude-sonnet-4-5")
    done = cli("doctor", ANTHROPIC_API_KEY="")
    assert done.returncode == 2
    assert "the environment variable ANTHROPIC_API_KEY is not set" in done.stderr
