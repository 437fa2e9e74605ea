"""A real Ollama with a model of half a megabyte: what it answers, how versions are swapped, how it is missed."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from activities.local import BadAnswer, LocalError, ModelUnavailable, ServerBusy, ServerDown, version_dir
from activities.local.ollama import PLACE, Ollama
from activities.local.server import server_at
from apprentice import prompts
from apprentice.messages import Answer, Source
from apprentice.schema import compile_schema
from apprentice.served_version import FILE, ServedVersion
from apprentice.settings import TaskSettings
from tests.servers.ollama import OllamaServer
from tests.servers.tiny_gguf import write_adapter_folder, write_adapter_gguf, write_model
from workers.dev_server import free_port

# The first run on a machine builds the server.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

BASE = "tiny"
INPUT = {"text": "my parcel has not arrived"}
OUTPUT: dict[str, Any] = {"category": ["billing", "shipping", "other"], "note": "str"}

MakeSettings = Callable[..., TaskSettings]


@pytest.fixture(scope="session")
def tiny_base(ollama_server: OllamaServer, tmp_path_factory: pytest.TempPathFactory) -> OllamaServer:
    """The server with a base model."""
    ollama_server.create(BASE, write_model(tmp_path_factory.mktemp("gguf") / "tiny.gguf"))
    return ollama_server


@pytest.fixture
def make_settings(tiny_base: OllamaServer, tmp_path: Path) -> MakeSettings:
    def make(output: dict[str, Any] = OUTPUT, **local: Any) -> TaskSettings:
        fields = {
            "backend": "ollama",
            "base_model": BASE,
            "fine_tune_backend": "few_shot",
            "model_dir": str(tmp_path),
            "base_url": tiny_base.url,
            "timeout_seconds": 20.0,
        }
        return TaskSettings.model_validate(
            {
                "name": "tickets",
                "input_schema": {"text": "str"},
                "output_schema": output,
                "remote": {"provider": "simulated", "model": "teacher", "price": {}},
                "local": fields | local,
            }
        )

    return make


@pytest.fixture
async def up(tiny_base: OllamaServer) -> AsyncIterator[None]:
    """Whatever a test does to the server, the next finds it up, and known to be."""
    yield
    tiny_base.thaw()
    if not tiny_base.runs:
        await asyncio.to_thread(tiny_base.start)
    await recovered(tiny_base)


def save(settings: TaskSettings, version: int, examples: int = 1, **made_of: Any) -> Path:
    folder = version_dir(settings, version)
    folder.mkdir(parents=True, exist_ok=True)
    shown = [{"input": {"text": f"example {n}"}, "output": {"category": "billing"}} for n in range(examples)]
    made = ServedVersion.model_validate(
        {"base_model": BASE, "examples": shown, "prompt_version": prompts.version(settings)} | made_of
    )
    (folder / FILE).write_text(made.model_dump_json())
    return folder


def ready(settings: TaskSettings, *versions: int) -> Ollama:
    for version in versions:
        save(settings, version, examples=version)
    return Ollama(settings)


async def recovered(server: OllamaServer) -> float:
    """Wait until what is known about its health is good; how many seconds that took."""
    began = time.monotonic()
    known = server_at(PLACE, TaskSettings.model_validate(_plain(server)).local)
    await until(lambda: not known.health.down)
    return time.monotonic() - began


async def until(holds: Callable[[], bool], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never came"
        await asyncio.sleep(0.05)


def _plain(server: OllamaServer) -> dict[str, Any]:
    schema = {"text": "str"}
    remote = {"provider": "simulated", "model": "m", "price": {}}
    local = {"backend": "ollama", "base_model": BASE, "base_url": server.url}
    return {"name": "x", "input_schema": schema, "output_schema": schema, "remote": remote, "local": local}


def loaded_models(server: OllamaServer) -> list[str]:
    return [one["name"] for one in httpx.get(f"{server.url}/api/ps").json()["models"]]


# --- answers ---------------------------------------------------------------------------------------------------


async def test_an_answer_names_its_version_and_counts_tokens_time_and_cost(make_settings: MakeSettings) -> None:
    settings = make_settings(cost_per_hour=Decimal(36))
    answer = await ready(settings, 1).answer(INPUT, 1)
    assert answer.source is Source.LOCAL
    assert (answer.model, answer.version) == (BASE, 1)
    assert answer.input_tokens > 100
    assert 5 < answer.output_tokens < 100
    assert answer.latency_seconds > 0
    assert answer.cost == pytest.approx(Decimal(answer.latency_seconds) / 100, abs=Decimal("1e-8"))
    assert answer.confidence is None  # this Ollama gives no log-probabilities


@pytest.mark.parametrize(
    "output",
    [
        {"customer": {"address": {"city": "str", "zip?": "int"}, "vip": "bool"}},
        {"note?": "str", "score": "float?", "labels": "list[str]?"},
        {"größe": ["klein", "groß ß", "日本語", "it's"]},
        {"level": [1, 2, 3], "sure": [True, False], "mixed": ["a", 1, None]},
        {"anything": "dict", "items": "list", "rows": "list[dict]", "n": "int", "f": "float"},
    ],
    ids=["nested", "optional", "unicode", "literals", "free"],
)
async def test_whatever_the_schema_the_answer_fits(make_settings: MakeSettings, output: dict[str, Any]) -> None:
    settings = make_settings(output)
    save(settings, 1, examples=0)
    model = Ollama(settings)
    for text in ("hello", "größer 日本語 🙂", '"quoted" \\ {{ braces }}'):
        answer = await model.answer({"text": text}, 1)
        assert compile_schema(output).validate(answer.output) == answer.output


async def test_a_literal_that_the_server_cannot_be_kept_to_is_checked_all_the_same(make_settings: MakeSettings) -> None:
    settings = make_settings({"label": ['with "quotes"', "a\\b"]})
    with pytest.raises(ModelUnavailable, match=r"smoke test.*does not fit the output schema"):
        await ready(settings, 1).load(1)


async def test_an_answer_that_is_cut_off_is_never_served(make_settings: MakeSettings) -> None:
    enough, short = make_settings(), make_settings(max_output_tokens=3)
    model = ready(enough, 1)
    await model.load(1)
    model._local = short.local  # after the smoke test, which would have found out
    with pytest.raises(BadAnswer, match=r"cut off.*local\.max_output_tokens"):
        await model.answer(INPUT, 1)
    with pytest.raises(ModelUnavailable, match=r"smoke test.*cut off"):
        await ready(short, 1).load(1)


async def test_a_prompt_that_does_not_fit_is_refused_and_not_shortened(make_settings: MakeSettings) -> None:
    settings = make_settings(context_tokens=2048)
    model = ready(settings, 1)
    await model.answer(INPUT, 1)
    with pytest.raises(BadAnswer, match=r"local\.context_tokens is 2048"):
        await model.answer({"text": "long " * 1000}, 1)
    save(settings, 2, examples=200)
    with pytest.raises(ModelUnavailable, match=r"local\.context_tokens is 2048"):
        await model.load(2)


async def test_no_error_quotes_what_the_caller_sent(make_settings: MakeSettings) -> None:
    settings = make_settings(context_tokens=2048)
    model = ready(settings, 1)
    with pytest.raises(BadAnswer) as told:
        await model.answer({"text": "secret " * 1000}, 1)
    assert "secret" not in str(told.value)


# --- versions --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["examples", "model", "adapter"])
async def test_a_version_is_swapped_under_load_and_no_request_fails(make_settings: MakeSettings, form: str) -> None:
    settings = make_settings(max_concurrent=8)
    save(settings, 1)
    if form == "model":
        write_model(save(settings, 2, model="model.gguf") / "model.gguf", seed=5)
    elif form == "adapter":
        write_adapter_folder(save(settings, 2, adapter="adapter") / "adapter")
    else:
        save(settings, 2, examples=3)
    model = Ollama(settings)
    await model.load(1)
    serving, stop, answers = 1, asyncio.Event(), list[Answer]()

    async def call(number: int) -> None:
        while not stop.is_set():
            answers.append(await model.answer({"text": f"caller {number}"}, serving))
            await asyncio.sleep(0.02)

    async with asyncio.TaskGroup() as callers:
        for number in range(8):
            callers.create_task(call(number))
        await asyncio.sleep(0.2)
        await model.load(2)
        serving = 2
        await model.unload(1)
        await asyncio.sleep(0.2)
        await model.load(1)  # rolling back
        serving = 1
        await model.unload(2)
        await asyncio.sleep(0.2)
        stop.set()
    assert {answer.version for answer in answers} == {1, 2}


@pytest.mark.parametrize("form", ["folder", "gguf"])
async def test_an_adapter_is_put_over_the_base_model_and_answers_differently(
    make_settings: MakeSettings, form: str
) -> None:
    settings = make_settings({"one": "str", "two": "str"})
    save(settings, 1, examples=0)
    folder = save(settings, 2, examples=0, adapter="adapter" if form == "folder" else "adapter.gguf")
    if form == "folder":
        write_adapter_folder(folder / "adapter")
    else:
        write_adapter_gguf(folder / "adapter.gguf")
    model = Ollama(settings)
    base, adapted = (await model.answer(INPUT, 1)), (await model.answer(INPUT, 2))
    assert adapted.model.startswith("apprentice-tickets:v0002-")
    assert base.output != adapted.output


async def test_a_whole_model_takes_the_place_of_the_base(make_settings: MakeSettings) -> None:
    settings = make_settings()
    write_model(save(settings, 3, model="model.gguf") / "model.gguf", seed=9)
    answer = await Ollama(settings).answer(INPUT, 3)
    assert answer.model.startswith("apprentice-tickets:v0003-")


async def test_versions_of_two_installations_never_share_a_name(make_settings: MakeSettings, tmp_path: Path) -> None:
    names = set()
    for number in (1, 2):
        settings = make_settings(model_dir=str(tmp_path / str(number)))
        write_model(save(settings, 1, model="model.gguf") / "model.gguf", seed=number)
        names.add((await Ollama(settings).answer(INPUT, 1)).model)
    assert len(names) == 2


async def test_unloading_spares_what_another_version_uses(make_settings: MakeSettings, tiny_base: OllamaServer) -> None:
    settings = make_settings()
    write_model(save(settings, 3, model="model.gguf") / "model.gguf", seed=11)
    model = ready(settings, 1, 2)
    for version in (1, 2, 3):
        await model.load(version)
    own = (await model.answer(INPUT, 3)).model
    await model.unload(3)
    await model.unload(1)
    await until(lambda: own not in loaded_models(tiny_base))
    assert f"{BASE}:latest" in loaded_models(tiny_base)
    assert (await model.answer(INPUT, 3)).model == own


async def test_a_version_that_cannot_be_made_says_so(make_settings: MakeSettings) -> None:
    settings = make_settings()
    (save(settings, 1, model="model.gguf") / "model.gguf").write_bytes(b"not a model")
    with pytest.raises(ModelUnavailable, match="Ollama cannot make a model"):
        await Ollama(settings).load(1)


async def test_a_version_that_is_missing_or_damaged_is_named_and_found_once_it_is_there(
    make_settings: MakeSettings,
) -> None:
    settings = make_settings()
    model = Ollama(settings)
    with pytest.raises(ModelUnavailable, match=r"v0001.*train the version again"):
        await model.answer(INPUT, 1)
    folder = save(settings, 1, adapter="adapter")
    with pytest.raises(ModelUnavailable, match=r"adapter is missing"):
        await model.answer(INPUT, 1)
    (folder / FILE).write_text(json.dumps({"base_model": BASE}))
    with pytest.raises(ModelUnavailable, match=r"version\.json is damaged"):
        await model.answer(INPUT, 1)
    save(settings, 1)
    assert (await model.answer(INPUT, 1)).version == 1


async def test_a_trained_version_is_not_served_under_another_prompt(make_settings: MakeSettings) -> None:
    settings = make_settings()
    write_model(save(settings, 1, model="model.gguf", prompt_version="other") / "model.gguf")
    with pytest.raises(ModelUnavailable, match="trained with prompt other"):
        await Ollama(settings).load(1)


async def test_a_base_model_that_is_missing_is_told_with_what_to_do(make_settings: MakeSettings) -> None:
    settings = make_settings(base_model="llama3.1:8b")
    save(settings, 1, base_model="llama3.1:8b")
    with pytest.raises(ModelUnavailable, match=r"run `ollama pull llama3\.1:8b`"):
        await Ollama(settings).answer(INPUT, 1)
    with pytest.raises(ModelUnavailable, match=r"tickets: local model cannot be served: .*run `ollama pull"):
        await Ollama(settings).check()


async def test_check_says_what_is_there_and_what_is_not_given(make_settings: MakeSettings) -> None:
    found = await Ollama(make_settings()).check()
    assert "tiny is there, without log-probabilities" in found
    elsewhere = make_settings(base_url=f"http://127.0.0.1:{free_port()}")
    with pytest.raises(ServerDown, match=r"cannot be reached.*local\.base_url"):
        await Ollama(elsewhere).check()


# --- health ----------------------------------------------------------------------------------------------------


async def test_a_server_killed_under_load_is_missed_at_once_and_comes_back_by_itself(
    make_settings: MakeSettings, tiny_base: OllamaServer, up: None
) -> None:
    model = ready(make_settings(), 1)
    await model.load(1)
    outcomes: list[Answer | LocalError] = []

    async def call(number: int) -> None:
        for _ in range(20):
            try:
                outcomes.append(await model.answer({"text": f"caller {number}"}, 1))
            except LocalError as error:
                outcomes.append(error)

    calls = [asyncio.create_task(call(number)) for number in range(4)]
    await asyncio.sleep(0.3)
    tiny_base.kill()
    began = time.monotonic()
    await asyncio.gather(*calls)
    assert time.monotonic() - began < 10  # nobody waited for a time-out of 18 s
    errors = [outcome for outcome in outcomes if isinstance(outcome, LocalError)]
    assert errors
    assert all(isinstance(error, ServerDown) for error in errors)
    assert not await model.healthy()
    tiny_base.start()
    await recovered(tiny_base)
    assert (await model.answer(INPUT, 1)).version == 1
    assert await model.healthy()


async def test_a_frozen_server_costs_two_time_outs_and_then_nothing(
    make_settings: MakeSettings, tiny_base: OllamaServer, up: None
) -> None:
    model = ready(make_settings(timeout_seconds=1.5), 1)
    await model.load(1)
    tiny_base.freeze()
    for _ in range(2):
        with pytest.raises(ServerDown, match=r"gave no answer within"):
            await model.answer(INPUT, 1)
    began = time.monotonic()
    for _ in range(100):
        with pytest.raises(ServerDown):
            await model.answer(INPUT, 1)
    assert time.monotonic() - began < 1.0  # one time-out is 1.35 s
    tiny_base.thaw()
    await recovered(tiny_base)
    assert (await model.answer(INPUT, 1)).version == 1


async def test_models_are_loaded_again_before_a_server_that_returns_is_asked(
    make_settings: MakeSettings, tiny_base: OllamaServer, up: None
) -> None:
    model = ready(make_settings(), 1)
    await model.load(1)
    tiny_base.kill()
    for _ in range(2):
        with pytest.raises(ServerDown):
            await model.answer(INPUT, 1)
    tiny_base.start()
    assert loaded_models(tiny_base) == []
    await recovered(tiny_base)
    assert f"{BASE}:latest" in loaded_models(tiny_base)


async def test_questions_beyond_the_line_are_turned_away_at_once_and_those_in_it_are_answered(
    make_settings: MakeSettings,
) -> None:
    model = ready(make_settings(max_concurrent=2, max_waiting=3), 1)
    await model.load(1)
    asked = (model.answer({"text": str(number)}, 1) for number in range(12))
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert sum(isinstance(outcome, Answer) for outcome in outcomes) == 5
    assert sum(isinstance(outcome, ServerBusy) for outcome in outcomes) == 7
