"""Versions are loaded once, kept warm, swapped beside each other, and missed by name."""

import asyncio
import random
import threading
from decimal import Decimal
from pathlib import Path

import pytest

from activities.local import ModelUnavailable, version_dir
from activities.local.embedded.adapter import KEPT, Embedded
from activities.local.embedded.student import Student
from activities.local.registry import LOCAL_MODELS
from apprentice.messages import Source
from apprentice.settings import LocalSettings, RemoteSettings, TaskSettings
from client.cli.generated_tickets import OUTPUT_SCHEMA, generate


@pytest.fixture
def settings(tmp_path: Path) -> TaskSettings:
    return TaskSettings(
        name="tickets",
        input_schema={"text": "str"},
        output_schema=OUTPUT_SCHEMA,
        remote=RemoteSettings(provider="simulated", model="teacher"),
        local=LocalSettings(model_dir=str(tmp_path)),
    )


def save(settings: TaskSettings, version: int) -> None:
    rows = list(generate(60, random.Random(version)))
    student = Student.fit([row["input"] for row in rows], [row["output"] for row in rows], OUTPUT_SCHEMA)
    student.save(version_dir(settings, version))


async def test_an_answer_names_its_version_and_confidence(settings: TaskSettings) -> None:
    save(settings, 1)
    model = LOCAL_MODELS["embedded"](settings)
    await model.load(1)
    answer = await model.answer({"text": "my parcel has not arrived"}, 1)
    assert answer.source is Source.LOCAL
    assert answer.version == 1
    assert answer.confidence is not None
    assert 0 < answer.confidence < 1
    assert answer.latency_seconds < 1
    assert await model.healthy()


async def test_a_missing_version_is_named_and_found_once_it_is_there(settings: TaskSettings) -> None:
    model = Embedded(settings)
    with pytest.raises(ModelUnavailable, match=r"tickets: local model version 7 .*v0007.*train the version again"):
        await model.answer({"text": "hello"}, 7)
    save(settings, 7)
    assert (await model.answer({"text": "hello"}, 7)).version == 7


async def test_concurrent_requests_load_a_version_once(settings: TaskSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    save(settings, 1)
    loads, lock, load = [], threading.Lock(), Student.load

    def counted(path: Path) -> Student:
        with lock:
            loads.append(path)
        return load(path)

    monkeypatch.setattr(Student, "load", counted)
    model = Embedded(settings)
    answers = await asyncio.gather(*(model.answer({"text": "hello " * (1 + 300 * (n % 2))}, 1) for n in range(30)))
    assert len(loads) == 1
    assert [answer.version for answer in answers] == [1] * 30


async def test_a_cancelled_caller_does_not_cancel_the_load_for_others(settings: TaskSettings) -> None:
    save(settings, 1)
    model = Embedded(settings)
    hasty, patient = (asyncio.create_task(model.answer({"text": "hello"}, 1)) for _ in range(2))
    await asyncio.sleep(0)
    hasty.cancel()
    assert (await patient).version == 1
    with pytest.raises(asyncio.CancelledError):
        await hasty


async def test_the_least_recently_used_version_is_dropped(
    settings: TaskSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads: list[str] = []
    load = Student.load

    def counted(path: Path) -> Student:
        loads.append(path.name)
        return load(path)

    monkeypatch.setattr(Student, "load", counted)
    model = Embedded(settings)
    for version in range(1, KEPT + 2):
        save(settings, version)
        await model.load(version)
        await model.load(1)
    await model.load(2)
    assert loads == ["v0001", "v0002", "v0003", "v0004", "v0002"]


async def test_a_version_that_is_unloaded_is_loaded_again_when_it_is_asked(
    settings: TaskSettings,
) -> None:
    save(settings, 1)
    model = Embedded(settings)
    await model.load(1)
    (version_dir(settings, 1)).rename(version_dir(settings, 2))
    assert (await model.answer({"text": "hello"}, 1)).version == 1
    await model.unload(1)
    await model.unload(7)
    with pytest.raises(ModelUnavailable):
        await model.answer({"text": "hello"}, 1)


async def test_its_time_costs_what_the_machine_costs(settings: TaskSettings) -> None:
    save(settings, 1)
    local = settings.local.model_copy(update={"cost_per_hour": Decimal(3600)})
    answer = await Embedded(settings.model_copy(update={"local": local})).answer({"text": "hello"}, 1)
    assert float(answer.cost) == pytest.approx(answer.latency_seconds, abs=1e-8)
    assert (await Embedded(settings).answer({"text": "hello"}, 1)).cost == 0


async def test_check_names_what_is_installed(settings: TaskSettings) -> None:
    assert (await Embedded(settings).check()).startswith("embedded: scikit-learn ")
