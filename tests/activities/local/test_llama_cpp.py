"""A real llama-server with a model of half a megabyte: at an address, and in processes that the worker runs."""

import asyncio
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from activities.local import BadAnswer, LocalError, ModelUnavailable, ServerBusy, ServerDown, version_dir
from activities.local import process as process_module
from activities.local.llama_cpp import LlamaCpp, _processes
from activities.local.process import ModelProcess
from apprentice import prompts
from apprentice.messages import Answer, Source
from apprentice.schema import compile_schema
from apprentice.served_version import FILE, ServedVersion
from apprentice.settings import TaskSettings
from tests.servers.llama_cpp import FLAGS, LlamaServer
from tests.servers.tiny_gguf import write_adapter_folder, write_adapter_gguf, write_model

# The first run on a machine builds the server.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

INPUT = {"text": "my parcel has not arrived"}
# No free text: a model of random weights may never end one.
OUTPUT: dict[str, Any] = {"category": ["billing", "shipping", "other"], "urgent": "bool"}

MakeSettings = Callable[..., TaskSettings]


@pytest.fixture(scope="session")
def base_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("gguf") / "tiny.gguf")


@pytest.fixture(scope="session")
def shared_server(llama_server_binary: Path, base_model: Path) -> Iterator[LlamaServer]:
    """A server for tests that do it no harm."""
    server = LlamaServer(llama_server_binary, base_model)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def own_server(llama_server_binary: Path, base_model: Path) -> Iterator[LlamaServer]:
    server = LlamaServer(llama_server_binary, base_model)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def make_settings(llama_server_binary: Path, base_model: Path, tmp_path: Path) -> MakeSettings:
    """`served_by` is the server of versions without weights of their own; the others get a process each."""

    def make(
        served_by: LlamaServer | None = None, output: dict[str, Any] = OUTPUT, name: str = "tickets", **local: Any
    ) -> TaskSettings:
        fields = {
            "backend": "llama_cpp",
            "base_model": str(base_model),
            "fine_tune_backend": "few_shot",
            "model_dir": str(tmp_path),
            "base_url": served_by.url if served_by else "http://127.0.0.1:9",
            "server_command": server_command(llama_server_binary),
            "timeout_seconds": 20.0,
        }
        return TaskSettings.model_validate(
            {
                "name": name,
                "input_schema": {"text": "str"},
                "output_schema": output,
                "remote": {"provider": "simulated", "model": "teacher", "price": {}},
                "local": fields | local,
            }
        )

    return make


@pytest.fixture(autouse=True)
async def nothing_left_running() -> AsyncIterator[None]:
    yield
    for one in list(_processes().values()):
        await one.stop()
    _processes().clear()


def server_command(binary: Path) -> list[str]:
    return [str(binary), "-m", "{model}", "--lora", "{adapter}", "--port", "{port}", *FLAGS]


def save(settings: TaskSettings, version: int, examples: int = 1, **made_of: Any) -> Path:
    folder = version_dir(settings, version)
    folder.mkdir(parents=True, exist_ok=True)
    shown = [
        {"input": {"text": f"example {n}"}, "output": {"category": "billing", "urgent": True}} for n in range(examples)
    ]
    base = settings.local.base_model
    made = {"base_model": base, "examples": shown, "prompt_version": prompts.version(settings)} | made_of
    (folder / FILE).write_text(ServedVersion.model_validate(made).model_dump_json())
    return folder


def save_model(settings: TaskSettings, version: int) -> None:
    write_model(save(settings, version, model="model.gguf") / "model.gguf", seed=version)


def save_adapter(settings: TaskSettings, version: int) -> None:
    write_adapter_gguf(save(settings, version, adapter="adapter.gguf") / "adapter.gguf", seed=version)


def the_process() -> ModelProcess:
    (only,) = _processes().values()
    return only


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def until(holds: Callable[[], bool], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never came"
        await asyncio.sleep(0.02)


async def eventually(model: LlamaCpp, version: int, seconds: float = 30.0) -> Answer:
    """The first answer, once there is one again; until then nothing but ServerDown."""
    end = time.monotonic() + seconds
    while True:
        try:
            return await model.answer(INPUT, version)
        except ServerDown:
            assert time.monotonic() < end, "it never came back"
            await asyncio.sleep(0.05)


# --- answers ---------------------------------------------------------------------------------------------------


async def test_an_answer_counts_tokens_time_and_cost_and_has_a_confidence(
    make_settings: MakeSettings, shared_server: LlamaServer
) -> None:
    settings = make_settings(shared_server, cost_per_hour=Decimal(36))
    save(settings, 1)
    answer = await LlamaCpp(settings).answer(INPUT, 1)
    assert answer.source is Source.LOCAL
    assert (answer.model, answer.version) == ("tiny.gguf", 1)
    assert answer.input_tokens > 100
    assert 5 < answer.output_tokens < 512
    assert answer.latency_seconds > 0
    assert answer.cost == pytest.approx(Decimal(answer.latency_seconds) / 100, abs=Decimal("1e-8"))
    assert answer.confidence is not None
    assert 0 < answer.confidence < 1


async def test_confidence_is_the_geometric_mean_of_what_the_server_says_of_each_token(
    make_settings: MakeSettings, shared_server: LlamaServer
) -> None:
    settings = make_settings(shared_server)
    save(settings, 1, examples=0)
    model = LlamaCpp(settings)
    answer = await model.answer(INPUT, 1)
    body = model._chat.body("tiny", prompts.build(settings, INPUT))
    async with httpx.AsyncClient(timeout=60) as client:
        raw = (await client.post(f"{shared_server.url}/v1/chat/completions", json=body)).json()
    tokens = [token["logprob"] for token in raw["choices"][0]["logprobs"]["content"]]
    assert len(tokens) >= answer.output_tokens - 1
    assert answer.confidence == pytest.approx(math.exp(sum(tokens) / len(tokens)), rel=0.05)


@pytest.mark.parametrize(
    "output",
    [
        {"customer": {"address": {"city": "str", "zip?": "int"}, "vip": "bool"}},
        {"note?": "str", "score": "float?", "labels": "list[str]?"},
        {"größe": ["klein", "groß ß", "日本語", "it's"]},
        {"level": [1, 2, 3], "sure": [True, False], "mixed": ["a", 1, None]},
        {"anything": "dict", "items": "list", "n": "int", "f": "float"},
    ],
    ids=["nested", "optional", "unicode", "literals", "free"],
)
async def test_whatever_the_schema_the_answer_fits(
    make_settings: MakeSettings, shared_server: LlamaServer, output: dict[str, Any]
) -> None:
    settings = make_settings(shared_server, output)
    save(settings, 1, examples=0)
    model = LlamaCpp(settings)
    for text in ("hello", "größer 日本語 🙂", '"quoted" \\ {{ braces }}'):
        answer = await model.answer({"text": text}, 1)
        assert compile_schema(output).validate(answer.output) == answer.output


async def test_an_answer_that_is_cut_off_is_never_served(
    make_settings: MakeSettings, shared_server: LlamaServer
) -> None:
    settings = make_settings(shared_server, max_output_tokens=3)
    save(settings, 1)
    with pytest.raises(ModelUnavailable, match=r"smoke test.*cut off.*local\.max_output_tokens, 3"):
        await LlamaCpp(settings).answer(INPUT, 1)


async def test_an_input_without_room_in_the_context_is_refused_in_words_that_do_not_quote_it(
    make_settings: MakeSettings, shared_server: LlamaServer
) -> None:
    settings = make_settings(shared_server)
    save(settings, 1)
    with pytest.raises(BadAnswer, match="no room in its context") as error:
        await LlamaCpp(settings).answer({"text": "secret " * 5000}, 1)
    assert "secret" not in str(error.value)


# --- versions with weights of their own ------------------------------------------------------------------------


async def test_an_adapter_is_served_by_a_process_of_its_own_and_answers_differently(
    make_settings: MakeSettings, shared_server: LlamaServer
) -> None:
    settings = make_settings(shared_server, {"words": "list[str]", "number": "int"})
    save(settings, 1, examples=0)
    write_adapter_gguf(save(settings, 2, examples=0, adapter="adapter.gguf") / "adapter.gguf")
    model = LlamaCpp(settings)
    base, adapted = await model.answer(INPUT, 1), await model.answer(INPUT, 2)
    assert (base.model, adapted.model) == ("tiny.gguf", "apprentice-tickets-v0002")
    assert base.output != adapted.output


async def test_versions_are_swapped_under_load_without_a_failed_request(make_settings: MakeSettings) -> None:
    settings = make_settings(max_concurrent=4)
    save_model(settings, 1)
    save_adapter(settings, 2)
    model = LlamaCpp(settings)
    await model.load(1)
    serving, stop, answers = 1, asyncio.Event(), list[Answer]()

    async def call(number: int) -> None:
        while not stop.is_set():
            answers.append(await model.answer({"text": f"caller {number}"}, serving))

    async with asyncio.TaskGroup() as callers:
        for number in range(8):
            callers.create_task(call(number))
        await asyncio.sleep(0.3)
        first = the_process().pid
        await model.load(2)
        serving = 2
        await model.unload(1)
        await asyncio.sleep(0.3)
        await model.load(1)  # rolling back
        serving = 1
        await model.unload(2)
        await asyncio.sleep(0.3)
        stop.set()
    assert {answer.version for answer in answers} == {1, 2}
    assert first is not None
    assert not is_running(first)
    assert the_process().pid != first


async def test_nothing_is_stopped_before_its_answers_in_flight_have_ended(make_settings: MakeSettings) -> None:
    settings = make_settings(max_concurrent=2)
    save_model(settings, 1)
    model = LlamaCpp(settings)
    await model.load(1)
    asked = [asyncio.create_task(model.answer({"text": str(number)}, 1)) for number in range(12)]
    await asyncio.sleep(0)
    await model.unload(1)
    assert all(isinstance(answer, Answer) for answer in await asyncio.gather(*asked))
    assert not _processes()


async def test_beyond_three_processes_the_one_asked_longest_ago_is_let_go(make_settings: MakeSettings) -> None:
    settings = make_settings()
    model = LlamaCpp(settings)
    for version in (1, 2, 3):
        save_model(settings, version)
        await model.load(version)
    oldest = next(iter(_processes().values())).pid
    assert oldest is not None
    save_model(settings, 4)
    await model.load(4)
    await until(lambda: not is_running(oldest))
    assert len(_processes()) == 3


async def test_settings_that_change_share_the_process_and_one_that_was_stopped_is_started_again(
    make_settings: MakeSettings,
) -> None:
    before, after = make_settings(), make_settings(timeout_seconds=15.0)
    save_model(before, 1)
    old, new = LlamaCpp(before), LlamaCpp(after)
    await old.load(1)
    await new.load(1)
    assert len(_processes()) == 1
    await new.unload(1)
    assert (await eventually(old, 1)).version == 1


async def test_a_process_that_does_not_start_is_told_with_its_last_words_and_not_started_for_each_question(
    make_settings: MakeSettings,
) -> None:
    settings = make_settings()
    folder = save(settings, 1, model="model.gguf")
    (folder / "model.gguf").write_bytes(b"no gguf")
    model = LlamaCpp(settings)
    with pytest.raises(ModelUnavailable, match=r"v0001 ended with code 1 as it started: .+"):
        await model.load(1)
    began = time.monotonic()
    for _ in range(50):
        with pytest.raises(ModelUnavailable):
            await model.answer(INPUT, 1)
    assert time.monotonic() - began < 1.0
    assert not _processes()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"server_command": None}, "`local.server_command` is not set"),
        ({"server_command": ["no-such-program", "{model}", "{port}", "{adapter}"]}, "'no-such-program' cannot be run"),
        ({"server_command": ["llama-server", "-m", "{model}", "--port", "{port}"]}, "no {adapter}"),
        ({"base_model": "/nowhere/base.gguf"}, "there is no file /nowhere/base.gguf"),
    ],
    ids=["no command", "no program", "no place", "no base"],
)
async def test_what_a_version_lacks_is_said(make_settings: MakeSettings, change: dict[str, Any], words: str) -> None:
    settings = make_settings(**change)
    save_adapter(settings, 1)
    with pytest.raises(ModelUnavailable, match=words.replace("{", r"\{").replace(".", r"\.")):
        await LlamaCpp(settings).load(1)


async def test_an_adapter_of_another_format_is_told_how_to_convert(make_settings: MakeSettings) -> None:
    settings = make_settings()
    write_adapter_folder(save(settings, 1, adapter="adapter") / "adapter")
    with pytest.raises(ModelUnavailable, match=r"is no \.gguf; .*convert_lora_to_gguf"):
        await LlamaCpp(settings).load(1)


# --- health ----------------------------------------------------------------------------------------------------


async def test_a_process_that_is_killed_is_missed_at_once_and_started_again(make_settings: MakeSettings) -> None:
    settings = make_settings()
    save_model(settings, 1)
    model = LlamaCpp(settings)
    await model.load(1)
    killed = the_process().pid
    assert killed is not None
    stop, errors, longest = asyncio.Event(), list[LocalError](), 0.0

    async def call(number: int) -> None:
        nonlocal longest
        while not stop.is_set():
            began = time.monotonic()
            try:
                await model.answer({"text": f"caller {number}"}, 1)
            except LocalError as error:
                longest = max(longest, time.monotonic() - began)
                errors.append(error)
            await asyncio.sleep(0.005)

    async with asyncio.TaskGroup() as callers:
        for number in range(4):
            callers.create_task(call(number))
        await asyncio.sleep(0.2)
        os.kill(killed, signal.SIGKILL)
        await until(lambda: bool(errors))
        assert (await eventually(model, 1)).version == 1
        stop.set()
    assert longest < 10  # nobody waited for a time-out of 18 s
    assert all(isinstance(error, ServerDown) for error in errors)
    assert await model.healthy()
    assert the_process().pid != killed


async def test_a_process_that_hangs_is_ended_and_started_again(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_module, "HUNG_SECONDS", 0.5)
    monkeypatch.setattr(process_module, "GRACE_SECONDS", 0.5)
    settings = make_settings(timeout_seconds=0.5)
    save_model(settings, 1)
    model = LlamaCpp(settings)
    await model.load(1)
    frozen = the_process().pid
    assert frozen is not None
    os.kill(frozen, signal.SIGSTOP)
    for _ in range(2):
        with pytest.raises(ServerDown, match="no answer within"):
            await model.answer(INPUT, 1)
    await until(lambda: not is_running(frozen))
    assert (await eventually(model, 1)).version == 1


async def test_the_server_at_the_address_is_missed_when_killed_and_comes_back_by_itself(
    make_settings: MakeSettings, own_server: LlamaServer
) -> None:
    settings = make_settings(own_server)
    save(settings, 1)
    model = LlamaCpp(settings)
    await model.load(1)
    assert await model.healthy()
    own_server.kill()
    began = time.monotonic()
    for _ in range(20):
        with pytest.raises(ServerDown, match="cannot be reached"):
            await model.answer(INPUT, 1)
    assert time.monotonic() - began < 2.0
    assert not await model.healthy()
    own_server.start()
    assert (await eventually(model, 1)).version == 1


async def test_a_server_that_is_frozen_costs_two_time_outs_and_comes_back(
    make_settings: MakeSettings, own_server: LlamaServer
) -> None:
    settings = make_settings(own_server, timeout_seconds=1.0)
    save(settings, 1)
    model = LlamaCpp(settings)
    await model.load(1)
    own_server.freeze()
    began = time.monotonic()
    for _ in range(20):
        with pytest.raises(ServerDown, match=r"no answer within"):
            await model.answer(INPUT, 1)
    assert time.monotonic() - began < 10 * 0.9
    own_server.thaw()
    assert (await eventually(model, 1)).version == 1


async def test_questions_beyond_the_line_are_turned_away_at_once(make_settings: MakeSettings) -> None:
    settings = make_settings(max_concurrent=2, max_waiting=3)
    save_model(settings, 1)
    model = LlamaCpp(settings)
    await model.load(1)
    asked = (model.answer({"text": str(number)}, 1) for number in range(12))
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert sum(isinstance(outcome, Answer) for outcome in outcomes) == 5
    assert sum(isinstance(outcome, ServerBusy) for outcome in outcomes) == 7


async def test_check_says_what_is_there_and_what_is_missing(
    make_settings: MakeSettings, shared_server: LlamaServer
) -> None:
    found = await LlamaCpp(make_settings(shared_server)).check()
    assert found.startswith(f"llama.cpp at {shared_server.url}: ")
    assert found.endswith("tiny.gguf is there, with log-probabilities")
    with pytest.raises(ServerDown, match=r"cannot be reached.*local\.base_url"):
        await LlamaCpp(make_settings()).check()
    command = ["no-such-program", "-m", "{model}", "--port", "{port}"]
    with pytest.raises(ServerDown, match=r"local\.server_command: there is no program 'no-such-program'"):
        await LlamaCpp(make_settings(shared_server, server_command=command)).check()


def test_a_process_ends_with_its_worker_however_that_ends(make_settings: MakeSettings) -> None:
    settings = make_settings()
    save_model(settings, 1)
    program = (
        "import asyncio, sys, time\n"
        "from activities.local.llama_cpp import LlamaCpp, _processes\n"
        "from apprentice.settings import TaskSettings\n"
        "async def main():\n"
        "    await LlamaCpp(TaskSettings.model_validate_json(sys.argv[1])).load(1)\n"
        "    print([one.pid for one in _processes().values()][0], flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    worker = subprocess.Popen([sys.executable, "-c", program, settings.model_dump_json()], stdout=subprocess.PIPE)
    assert worker.stdout is not None
    pid = int(worker.stdout.readline())
    assert is_running(pid)
    worker.kill()
    worker.wait()
    worker.stdout.close()
    end = time.monotonic() + 10
    while is_running(pid):
        assert time.monotonic() < end, "it outlived its worker"
        time.sleep(0.05)
