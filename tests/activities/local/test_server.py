"""What an address answers, or does not, in the words of a local model's errors; and what it says of its health."""

import asyncio
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from activities.local import health
from activities.local.model import ServerBusy, ServerDown, version_dir
from activities.local.ollama import Ollama
from activities.local.server import Place, Refused, Server, server_at
from apprentice import prompts
from apprentice.served_version import FILE, ServedVersion
from apprentice.settings import LocalSettings, TaskSettings
from tests.fakes.model_server import ModelServer, breaks_off, hangs, says
from workers.dev_server import free_port

PLACE = Place("a server", "http://localhost:1", "/health")


def settings_for(url: str, **changes: Any) -> LocalSettings:
    return LocalSettings(backend="ollama", base_model="m", base_url=url, timeout_seconds=1.0, **changes)


async def ask(server: Server, settings: LocalSettings) -> Any:
    return await server.ask(settings, "/ask", {"question": 1})


async def test_an_answer_is_its_json() -> None:
    with ModelServer({"/ask": [says(200, {"answer": "ü"})]}) as fake:
        settings = settings_for(fake.url)
        assert await ask(server_at(PLACE, settings), settings) == {"answer": "ü"}


@pytest.mark.parametrize(
    ("status", "error"),
    [(503, ServerBusy), (500, ServerDown), (502, ServerDown), (401, ServerDown), (403, ServerDown), (400, Refused)],
)
async def test_a_refusal_has_a_name_and_says_nothing_about_health(status: int, error: type[Exception]) -> None:
    with ModelServer({"/ask": [says(status, {"error": "my secret input"})]}) as fake:
        settings = settings_for(fake.url)
        server = server_at(PLACE, settings)
        for _ in range(3):
            with pytest.raises(error, match=str(status)) as told:
                await ask(server, settings)
            assert "secret" not in str(told.value)
        assert not server.health.down


async def test_two_refused_connections_are_down_and_later_questions_are_not_sent() -> None:
    settings = settings_for(f"http://127.0.0.1:{free_port()}")
    server = server_at(PLACE, settings)
    for _ in range(2):
        with pytest.raises(ServerDown, match="cannot be reached"):
            await ask(server, settings)
    assert server.health.down
    began = time.monotonic()
    with ModelServer({"/ask": [says(200, {})]}) as fake:
        server.url = fake.url  # even if it were there: only the probe finds that out
        for _ in range(100):
            with pytest.raises(ServerDown):
                await ask(server, settings)
        assert fake.asked == []
    assert time.monotonic() - began < health.PROBE_SECONDS


async def test_a_connection_that_broke_is_tried_once_more() -> None:
    with ModelServer({"/ask": [breaks_off, says(200, {"answer": 1})]}) as fake:
        settings = settings_for(fake.url)
        assert await ask(server_at(PLACE, settings), settings) == {"answer": 1}
        assert len(fake.asked) == 2
    with ModelServer({"/ask": [breaks_off]}) as fake:
        settings = settings_for(fake.url)
        with pytest.raises(ServerDown, match="broke the connection"):
            await ask(server_at(PLACE, settings), settings)


async def test_silence_is_down_after_two_and_those_who_wait_are_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "PROBE_SECONDS", 0.05)
    with ModelServer({"/ask": [hangs(3.0)], "/health": [hangs(1.0), says(200)]}) as fake:
        settings = settings_for(fake.url, max_concurrent=2, max_waiting=10)
        server = server_at(PLACE, settings)
        began = time.monotonic()
        outcomes = await asyncio.gather(*(ask(server, settings) for _ in range(8)), return_exceptions=True)
        # Nobody waited for its own turn to time out: the line was sent away with the two that did.
        assert time.monotonic() - began < 1.6
        assert all(isinstance(outcome, ServerDown | ServerBusy) for outcome in outcomes)
        assert any(isinstance(outcome, ServerDown) for outcome in outcomes)


async def test_a_question_that_waited_for_its_turn_too_long_says_nothing_about_health() -> None:
    with ModelServer({"/ask": [hangs(0.6)]}) as fake:
        settings = settings_for(fake.url, max_concurrent=1, max_waiting=10)
        server = server_at(PLACE, settings)
        outcomes = await asyncio.gather(*(ask(server, settings) for _ in range(5)), return_exceptions=True)
        assert outcomes[0] == {}
        assert all(isinstance(outcome, ServerBusy) for outcome in outcomes[1:])
        assert not server.health.down


async def test_tasks_share_the_server_of_an_address() -> None:
    one, other = settings_for("http://host:1"), settings_for("http://host:1/", max_concurrent=9)
    assert server_at(PLACE, one) is server_at(PLACE, other)
    assert server_at(PLACE, settings_for("http://host:2")) is not server_at(PLACE, one)


async def test_the_key_is_sent_and_its_absence_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with ModelServer({"/ask": [says(200, {})]}) as fake:
        settings = settings_for(fake.url, api_key_env="MODEL_SERVER_KEY")
        with pytest.raises(ServerDown, match="MODEL_SERVER_KEY is not set"):
            await ask(server_at(PLACE, settings), settings)
        monkeypatch.setenv("MODEL_SERVER_KEY", "k-1")
        await ask(server_at(PLACE, settings), settings)
        assert fake.asked[-1][2]["Authorization"] == "Bearer k-1"


# --- what newer versions of Ollama do, at wire level -----------------------------------------------------------


def chat(text: str, **more: Any) -> dict[str, Any]:
    return {"message": {"role": "assistant", "content": text}, "done": True, "done_reason": "stop"} | more


async def test_an_ollama_that_gives_log_probabilities_gives_confidence(tmp_path: Path) -> None:
    told = chat('{"label": "x"}', logprobs=[{"token": "a", "logprob": -0.1}, {"token": "b", "logprob": -0.3}])
    answers = {"/api/version": [says(200, {"version": "0.12.11"})], "/api/show": [says(200, {})]}
    with ModelServer(answers | {"/api/chat": [says(200, told)]}) as fake:
        settings = TaskSettings.model_validate(
            {
                "name": "tickets",
                "input_schema": {"text": "str"},
                "output_schema": {"label": ["x"]},
                "remote": {"provider": "simulated", "model": "m", "price": {}},
                "local": {"backend": "ollama", "base_model": "m", "base_url": fake.url, "model_dir": str(tmp_path)},
            }
        )
        folder = version_dir(settings, 1)
        folder.mkdir(parents=True)
        made_of = ServedVersion(base_model="m", prompt_version=prompts.version(settings))
        (folder / FILE).write_text(made_of.model_dump_json())
        model = Ollama(settings)
        answer = await model.answer({"text": "hello"}, 1)
        assert answer.confidence == pytest.approx(0.8187, abs=1e-4)
        assert answer.cost == Decimal(0)
        assert await model.check() == f"Ollama 0.12.11 at {fake.url}: m is there, with log-probabilities"
        sent = fake.bodies("/api/chat")[0]
        assert sent["logprobs"] is True
        assert (sent["truncate"], sent["shift"]) == (False, False)
        assert sent["keep_alive"] == "1800s"
        assert sent["options"] == {"num_predict": 512, "num_ctx": 4096, "temperature": 0, "seed": 0}


async def test_a_server_that_is_no_ollama_is_told_apart(tmp_path: Path) -> None:
    with ModelServer({"/api/version": [says(200, "<html>", "text/html")], "/api/show": [says(200, {})]}) as fake:
        settings = TaskSettings.model_validate(
            {
                "name": "tickets",
                "input_schema": {"text": "str"},
                "output_schema": {"label": ["x"]},
                "remote": {"provider": "simulated", "model": "m", "price": {}},
                "local": {"backend": "ollama", "base_model": "m", "base_url": fake.url},
            }
        )
        with pytest.raises(ServerDown, match=r"local\.base_url"):
            await Ollama(settings).check()
