"""What people say of answers, from a client through Temporal into the store, the data set and the status."""

import json
import logging
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from activities.store import Store
from apprentice.messages import Label, Retrain, Source, Split
from client.errors import InvalidLabel, UnknownRequest
from tests.conftest import DevEnv
from tests.workflows.conftest import PRICE, Running, SettingsOf
from tests.workflows.test_fine_tune import rolling_over, until_next_run
from tests.workflows.test_teachers import until
from tests.workflows.traffic import QUICK, send, settled, tickets
from workflows import TaskLifecycleWorkflow
from workflows.ids import lifecycle_id

CATEGORIES = ("billing", "shipping", "account")


def other_than(output: dict[str, Any]) -> dict[str, Any]:
    """An output that fits and differs."""
    return {"category": next(one for one in CATEGORIES if one != output["category"])}


async def test_a_label_says_how_right_the_answer_was_and_the_last_word_holds(
    running: Running, settings_of: SettingsOf
) -> None:
    settings = settings_of()
    async with running(settings) as apprentice:
        [result] = await send(apprentice, settings.name, tickets(1))
        right = other_than(result.output)
        first = await apprentice.feedback(settings.name, result.request_id, output=right)
        assert (first.served, first.teacher, first.local, first.corrected) == (0.0, 0.0, None, True)
        again = await apprentice.feedback(settings.name, result.request_id, output=right)
        assert again == first
        gold = (await apprentice.status(settings.name)).gold
        assert gold is not None
        assert (gold.told, gold.told_right, gold.teacher) == (1, 0.0, None)
        last = await apprentice.feedback(settings.name, result.request_id, right=True)
        assert (last.served, last.teacher, last.corrected) == (1.0, 1.0, False)
        gold = (await apprentice.status(settings.name)).gold
        assert gold is not None
        assert (gold.told, gold.told_right) == (1, 1.0)


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {"category": value}
    return value


HOSTILE: dict[str, tuple[dict[str, Any], str]] = {
    "neither": ({}, "either"),
    "both": ({"output": {"category": "billing"}, "right": True}, "either"),
    "no such class": ({"output": {"category": "SECRET"}}, "category"),
    "not the fields": ({"output": {"label": "billing"}}, "category: is missing"),
    "another field": ({"output": {"category": "billing", "more": 1}}, "more"),
    "huge": ({"output": {"category": "x" * 10_000_000}}, "bytes long"),
    "nul": ({"output": {"category": "\0"}}, "NUL"),
    "nan": ({"output": {"category": float("nan")}}, "NaN"),
    "half a character": ({"output": {"category": "\ud800"}}, "Unicode"),
    "deep": ({"output": nested(500)}, ""),
    "no JSON": ({"output": {"category": object()}}, "JSON"),
}


async def test_labels_that_are_none_are_refused_and_the_task_goes_on(
    running: Running, settings_of: SettingsOf, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    settings, other = settings_of(), settings_of()
    async with running(settings) as apprentice, running(other) as neighbour:
        [result] = await send(apprentice, settings.name, tickets(1))
        for name, (label, words) in HOSTILE.items():
            with pytest.raises(InvalidLabel) as caught:
                await apprentice.feedback(settings.name, result.request_id, **label)
            assert words in str(caught.value), name
            assert "SECRET" not in str(caught.value)
        for request_id in ("nobody", "x" * 200, f"{result.request_id}#second", "'; DROP TABLE feedback; --"):
            with pytest.raises(UnknownRequest) as unknown:
                await apprentice.feedback(settings.name, request_id, right=True)
            assert repr(request_id) in str(unknown.value)
        for request_id in ("", "x" * 201):
            with pytest.raises(InvalidLabel):
                await apprentice.feedback(settings.name, request_id, right=True)
        with pytest.raises(UnknownRequest):
            await neighbour.feedback(other.name, result.request_id, right=True)
        status = await apprentice.status(settings.name)
        assert status.gold is None
        assert (await apprentice.feedback(settings.name, result.request_id, right=False)).served == 0.0
    assert "SECRET" not in caplog.text


async def test_a_version_learns_what_people_said_and_nothing_that_teachers_dispute(
    running: Running, settings_of: SettingsOf, tmp_path: Path
) -> None:
    instant = {"latency_seconds": 0}
    teacher = {"provider": "simulated", "model": "main", "price": PRICE.model_dump(), "simulation": instant}
    doubter = teacher | {"model": "other", "simulation": instant | {"noise": 0.3}}
    remote = teacher | {"additional_providers": [doubter], "second_opinions": 1.0}
    settings = settings_of(remote=remote, quality={"disputed": "leave_out"}, **QUICK)
    async with running(settings) as apprentice:
        results = await send(apprentice, settings.name, inputs := tickets(66))
        await settled(apprentice, settings.name)
        await until(apprentice, settings.name, lambda s: bool(s.teachers_agree and s.teachers_agree.n == 66))
        async with await Store.open(f"sqlite:///{tmp_path}/store.db") as store:
            ref = await store.examples.snapshot(settings.name, 1, leave_out_disputed=True)
            all_of = await store.examples.snapshot(settings.name, 1)
            undisputed = {one.input["text"] async for one in store.examples.read(ref, Split.TRAIN)}
            trainable = {one.input["text"] async for one in store.examples.read(all_of, Split.TRAIN)}
        texts = [one["text"] for one in inputs]
        disputed = [text for text in texts if text in trainable - undisputed]
        assert len(disputed) >= 5
        corrected = next(text for text in texts if text in undisputed)
        decided, wrong = disputed[0], next(text for text in texts if text in undisputed and text != corrected)
        right = {text: other_than(results[texts.index(text)].output) for text in (corrected, decided)}
        labels = [Label(request_id=results[texts.index(text)].request_id, output=right[text]) for text in right]
        labels.append(Label(request_id=results[texts.index(wrong)].request_id, right=False))
        verdicts = await apprentice.feedback_all(settings.name, labels)
        assert [one.corrected for one in verdicts] == [True, True, False]
        await send(apprentice, settings.name, tickets(1, first=900))
        await until(apprentice, settings.name, lambda s: bool(s.teachers_agree and s.teachers_agree.n == 67))
        done = len((await apprentice.status(settings.name)).versions)
        await apprentice.operate(settings.name, Retrain())
        status = await settled(apprentice, settings.name, done + 1)
    files = (Path(settings.local.model_dir) / settings.name / "datasets").glob("*.jsonl")
    rows = [json.loads(line) for line in max(files, key=lambda file: file.stat().st_mtime_ns).read_text().splitlines()]
    taught = {row["input"]["text"]: row["output"] for row in rows}
    assert {text: taught.get(text) for text in right} == right
    assert not set(taught) & {wrong, *disputed[1:]}
    newest = status.versions[-1]
    assert newest.train == len(taught)
    assert newest.left_out >= len(disputed)
    assert newest.train + newest.holdout + newest.left_out == status.examples
    assert status.teacher_error is not None
    assert 0 < status.teacher_error.at_least < 0.5


async def test_labels_outlive_a_rollover_and_the_end_of_the_task(
    running: Running, settings_of: SettingsOf, dev_env: DevEnv, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = settings_of()
    handle = dev_env.client.get_workflow_handle(lifecycle_id(settings.name))
    with rolling_over(monkeypatch) as roll:
        async with running(settings) as apprentice:
            results = await send(apprentice, settings.name, tickets(6))
            async with await Store.open(f"sqlite:///{tmp_path}/store.db") as store:
                now = datetime.now(UTC)
                drawn = await store.feedback.draw(settings.name, 1, Source.REMOTE, 4, random.Random(1), now)
            told = [result for result in results if result.request_id not in {one.request_id for one in drawn}]
            labels = [Label(request_id=one.request_id, right=True) for one in drawn]
            labels.append(Label(request_id=told[0].request_id, right=False))
            assert [one.audited for one in await apprentice.feedback_all(settings.name, labels)] == [True] * 4 + [False]
            before = (await apprentice.status(settings.name)).gold
            first = (await handle.describe()).run_id
            roll.set()
            await handle.signal(TaskLifecycleWorkflow.resume)
            await until_next_run(handle, first)
            roll.clear()
            assert (await apprentice.status(settings.name)).gold == before
            await apprentice.retire(settings.name)
            await apprentice.apply(settings)
            await send(apprentice, settings.name, tickets(1))
            assert (await apprentice.status(settings.name)).gold == before
    assert before is not None
    assert before.teacher is not None
    assert (before.drawn, before.labelled, before.teacher.mean, before.told) == (4, 4, 1.0, 1)
