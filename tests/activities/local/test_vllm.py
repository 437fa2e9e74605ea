"""vLLM's API: adapters that are loaded while it runs, lost with it, and loaded again.

Against our fake of it, or against the real one (tests/servers/vllm.py says how).
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from activities.local import BadAnswer, ModelUnavailable, ServerBusy, ServerDown, version_dir
from activities.local.registry import LOCAL_MODELS
from activities.local.vllm import Vllm
from apprentice import prompts
from apprentice.messages import Answer, Source
from apprentice.schema import compile_schema
from apprentice.served_version import FILE, ServedVersion
from apprentice.settings import TaskSettings
from tests.servers.vllm import BASE, REAL, VllmServer, write_adapter

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60 if REAL is None else 600)]

INPUT = {"text": "my parcel has not arrived"}
OUTPUT: dict[str, Any] = {"category": ["billing", "shipping", "other"], "urgent": "bool"}
SECONDS = 5.0 if REAL is None else 60.0
FAST = 1.0 if REAL is None else 3.0

MakeSettings = Callable[..., TaskSettings]


def _served(**how: Any) -> Iterator[VllmServer]:
    server = VllmServer(**how)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def shared_server() -> Iterator[VllmServer]:
    """A server for tests that do it no harm."""
    yield from _served()


@pytest.fixture
def own_server() -> Iterator[VllmServer]:
    yield from _served()


@pytest.fixture
def make_settings(tmp_path: Path) -> MakeSettings:
    def make(server: VllmServer, output: dict[str, Any] = OUTPUT, name: str = "tickets", **local: Any) -> TaskSettings:
        fields = {
            "backend": "vllm",
            "base_model": BASE,
            "fine_tune_backend": "few_shot",
            "model_dir": str(tmp_path),
            "base_url": server.url,
            "timeout_seconds": SECONDS,
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


def save(settings: TaskSettings, version: int, **made_of: Any) -> Path:
    folder = version_dir(settings, version)
    folder.mkdir(parents=True, exist_ok=True)
    made = {"base_model": settings.local.base_model, "prompt_version": prompts.version(settings)} | made_of
    (folder / FILE).write_text(ServedVersion.model_validate(made).model_dump_json())
    return folder


def save_adapter(settings: TaskSettings, version: int) -> None:
    write_adapter(save(settings, version, adapter="adapter") / "adapter")


async def eventually(model: Vllm, version: int) -> Answer:
    """The first answer, once there is one again; until then nothing but ServerDown."""
    end = time.monotonic() + 60
    while True:
        try:
            return await model.answer(INPUT, version)
        except ServerDown:
            assert time.monotonic() < end, "it never came back"
            await asyncio.sleep(0.05)


async def test_an_answer_counts_tokens_time_and_cost_and_has_a_confidence(
    make_settings: MakeSettings, shared_server: VllmServer
) -> None:
    settings = make_settings(shared_server, cost_per_hour=Decimal(36))
    example = {"input": {"text": "hello"}, "output": {"category": "other", "urgent": False}}
    save(settings, 1, examples=[example])
    answer = await LOCAL_MODELS["vllm"](settings).answer(INPUT, 1)
    assert answer.source is Source.LOCAL
    assert (answer.model, answer.version) == (BASE, 1)
    assert answer.input_tokens > 100
    assert answer.output_tokens > 10
    assert answer.latency_seconds > 0
    assert answer.cost == pytest.approx(Decimal(answer.latency_seconds) / 100, abs=Decimal("1e-8"))
    assert answer.confidence is not None
    assert 0 < answer.confidence < 1
    if REAL is None:
        assert answer.confidence == pytest.approx(0.9)


@pytest.mark.parametrize(
    "output",
    [
        {"customer": {"address": {"zip?": "int"}, "vip": "bool"}},
        {"score": "int?", "labels": "list[bool]?"},
        {"größe": ["klein", "groß ß", "日本語", 'with "quotes"', "a\\b"]},
        {"level": [1, 2, 3], "sure": [True, False], "mixed": ["a", 1, None]},
    ],
    ids=["nested", "optional", "unicode", "literals"],
)
async def test_whatever_the_schema_the_answer_fits(
    make_settings: MakeSettings, shared_server: VllmServer, output: dict[str, Any]
) -> None:
    settings = make_settings(shared_server, output)
    save(settings, 1)
    model = Vllm(settings)
    for text in ("hello", "größer 日本語 🙂", '"quoted" \\ {{ braces }}'):
        answer = await model.answer({"text": text}, 1)
        assert compile_schema(output).validate(answer.output) == answer.output


async def test_an_input_without_room_in_the_context_is_refused_in_words_that_do_not_quote_it(
    make_settings: MakeSettings, shared_server: VllmServer
) -> None:
    settings = make_settings(shared_server)
    save(settings, 1)
    with pytest.raises(BadAnswer, match="no room in its context") as error:
        await Vllm(settings).answer({"text": "secret " * 5000}, 1)
    assert "secret" not in str(error.value)


async def test_versions_are_swapped_under_load_without_a_failed_request(
    make_settings: MakeSettings, shared_server: VllmServer
) -> None:
    settings = make_settings(shared_server)
    save_adapter(settings, 1)
    save_adapter(settings, 2)
    model = Vllm(settings)
    await model.load(1)
    serving, stop, answers = 1, asyncio.Event(), list[Answer]()

    async def call(number: int) -> None:
        while not stop.is_set():
            answers.append(await model.answer({"text": f"caller {number}"}, serving))

    async with asyncio.TaskGroup() as callers:
        for number in range(8):
            callers.create_task(call(number))
        await asyncio.sleep(0.3)
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
    left = [name for name in shared_server.adapters() if name in {answer.model for answer in answers}]
    assert [name.split("-")[2] for name in left] == ["v0001"]
    await model.unload(1)


async def test_two_installations_at_one_server_never_get_each_others_adapter(
    make_settings: MakeSettings, shared_server: VllmServer, tmp_path: Path
) -> None:
    names = set()
    for place in ("one", "other"):
        settings = make_settings(shared_server, model_dir=str(tmp_path / place))
        save_adapter(settings, 1)
        model = Vllm(settings)
        names.add((await model.answer(INPUT, 1)).model)
    assert len(names) == 2


async def test_an_adapter_that_the_server_has_lost_is_loaded_again_and_the_question_asked_once_more(
    make_settings: MakeSettings, shared_server: VllmServer
) -> None:
    settings = make_settings(shared_server)
    save_adapter(settings, 1)
    model, other_worker = Vllm(settings), Vllm(settings)
    await model.load(1)
    await other_worker.load(1)
    await other_worker.unload(1)
    assert (await model.answer(INPUT, 1)).version == 1


async def test_a_server_that_was_killed_is_missed_at_once_and_gets_its_adapters_back(
    make_settings: MakeSettings, own_server: VllmServer
) -> None:
    settings = make_settings(own_server)
    save_adapter(settings, 1)
    model = Vllm(settings)
    await model.load(1)
    before = own_server.adapters()
    assert await model.healthy()
    own_server.kill()
    began = time.monotonic()
    for _ in range(20):
        with pytest.raises(ServerDown, match="cannot be reached"):
            await model.answer(INPUT, 1)
    assert time.monotonic() - began < FAST
    assert not await model.healthy()
    own_server.start()
    assert (await eventually(model, 1)).version == 1
    assert own_server.adapters() == before


async def test_a_server_that_is_frozen_costs_two_time_outs_and_comes_back(
    make_settings: MakeSettings, own_server: VllmServer
) -> None:
    settings = make_settings(own_server, timeout_seconds=FAST)
    save_adapter(settings, 1)
    model = Vllm(settings)
    await model.load(1)
    own_server.freeze()
    began = time.monotonic()
    for _ in range(20):
        with pytest.raises(ServerDown, match="no answer within"):
            await model.answer(INPUT, 1)
    assert time.monotonic() - began < 10 * 0.9 * FAST
    own_server.thaw()
    assert (await eventually(model, 1)).version == 1


async def test_questions_beyond_the_line_are_turned_away_at_once(
    make_settings: MakeSettings, shared_server: VllmServer
) -> None:
    settings = make_settings(shared_server, max_concurrent=2, max_waiting=3)
    save(settings, 1)
    model = Vllm(settings)
    await model.load(1)
    asked = (model.answer({"text": str(number)}, 1) for number in range(12))
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert sum(isinstance(outcome, Answer) for outcome in outcomes) == 5
    assert sum(isinstance(outcome, ServerBusy) for outcome in outcomes) == 7


@pytest.mark.parametrize(
    "how", [{"runtime_updating": False}, {"enable_lora": False}], ids=["no updating", "no adapters"]
)
async def test_a_server_that_takes_no_adapters_is_told_how_to_start(
    make_settings: MakeSettings, how: dict[str, bool]
) -> None:
    for server in _served(**how):
        settings = make_settings(server)
        save_adapter(settings, 1)
        with pytest.raises(ModelUnavailable, match="--enable-lora and VLLM_ALLOW_RUNTIME_LORA_UPDATING=True"):
            await Vllm(settings).load(1)


async def test_what_the_server_cannot_serve_is_said_and_what_to_do(
    make_settings: MakeSettings, shared_server: VllmServer
) -> None:
    settings = make_settings(shared_server)
    (save(settings, 1, adapter="adapter") / "adapter").mkdir()
    with pytest.raises(ModelUnavailable, match=r"finds no adapter in .* under the same path"):
        await Vllm(settings).load(1)
    (save(settings, 2, model="model.gguf") / "model.gguf").write_bytes(b"")
    with pytest.raises(ModelUnavailable, match="train an adapter"):
        await Vllm(settings).load(2)
    save(settings, 3, base_model="llama")
    with pytest.raises(ModelUnavailable, match=r"has no llama \(it has: tiny\)"):
        await Vllm(settings).load(3)


async def test_check_says_what_is_there_and_what_is_missing(
    make_settings: MakeSettings, shared_server: VllmServer
) -> None:
    found = await Vllm(make_settings(shared_server)).check()
    assert found == f"vLLM at {shared_server.url}: tiny is there, with log-probabilities"
    with pytest.raises(ModelUnavailable, match=r"has no llama .*`local\.base_model`"):
        await Vllm(make_settings(shared_server, base_model="llama")).check()
    with pytest.raises(ServerDown, match=r"cannot be reached.*local\.base_url"):
        await Vllm(make_settings(shared_server, base_url="http://127.0.0.1:9")).check()
