"""`ask_local`: memory first, but never the answer of the remote model that is asked beside it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.local.ask import AskLocal
from activities.local.embedded.student import Student
from activities.local.familiarity import write_profile
from activities.local.model import (
    BadAnswer,
    LocalError,
    LocalModel,
    ModelUnavailable,
    ServerBusy,
    ServerDown,
    version_dir,
)
from activities.local.serving import LocalModels
from activities.remote.ask import AskRemote
from activities.store import Store
from apprentice.messages import Answer, LocalCall, RemoteCall, Reply, Source, TaskRequest
from apprentice.settings import TaskSettings


def now() -> datetime:
    return datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path: Path) -> TaskSettings:
    values: dict[str, Any] = {
        "name": "tickets",
        "input_schema": {"text": "str"},
        "output_schema": {"category": ["a", "b"]},
        "remote": {"provider": "simulated", "model": "m", "price": {}, "simulation": {"latency_seconds": 0}},
        "local": {"model_dir": str(tmp_path)},
    }
    settings = TaskSettings.model_validate(values)
    student = Student.fit(
        [{"text": "x"}, {"text": "y"}], [{"category": "a"}, {"category": "b"}], values["output_schema"]
    )
    student.save(version_dir(settings, 1))
    return settings


@pytest.fixture
async def store(tmp_path: Path, settings: TaskSettings) -> AsyncIterator[Store]:
    async with await Store.open(f"sqlite:///{tmp_path}/store.db") as opened:
        await opened.settings.put(settings)
        yield opened


def call_of(settings: TaskSettings, admission: str, *, serves: bool, text: str = "x") -> LocalCall:
    return LocalCall(
        request=TaskRequest(request_id="r", task=settings.name, input={"text": text}),
        admission=admission,
        settings_digest=settings.digest,
        version=1,
        serves=serves,
    )


async def ask(store: Store, settings: TaskSettings, admission: str, *, serves: bool, text: str = "x") -> Reply:
    call = call_of(settings, admission, serves=serves, text=text)
    return await ActivityEnvironment().run(AskLocal(store, LocalModels(), now).ask_local, call)


async def ask_remote(store: Store, settings: TaskSettings, admission: str) -> Reply:
    call = RemoteCall(
        request=TaskRequest(request_id="r", task=settings.name, input={"text": "x"}),
        admission=admission,
        settings_digest=settings.digest,
        schema_version=1,
        reserved=1,
    )
    return await ActivityEnvironment().run(AskRemote(store, now).ask_remote, call)


async def test_a_remote_answer_of_the_same_admission_is_not_mistaken_for_the_local_one(
    store: Store, settings: TaskSettings
) -> None:
    await ask_remote(store, settings, "first")
    local = await ask(store, settings, "first", serves=False)
    assert local.answer.source is Source.LOCAL
    assert not local.replayed


async def test_the_answer_says_how_new_the_input_is_to_the_version(store: Store, settings: TaskSettings) -> None:
    assert (await ask(store, settings, "first", serves=False)).answer.novelty is None  # an older version
    write_profile(version_dir(settings, 1), [({"text": "x"}, {"category": "a"})] * 9)
    known = (await ask(store, settings, "first", serves=False)).answer.novelty
    new = (await ask(store, settings, "first", serves=False, text="unheard of")).answer.novelty
    assert known is not None
    assert new is not None
    assert known < 0.5 < new


async def test_a_request_that_comes_again_gets_what_was_served_before(store: Store, settings: TaskSettings) -> None:
    remote = await ask_remote(store, settings, "first")
    again = await ask(store, settings, "second", serves=True)
    assert again.replayed
    assert again.answer == remote.answer


async def test_an_activity_that_runs_again_is_no_replay(store: Store, settings: TaskSettings) -> None:
    first = await ask(store, settings, "first", serves=True)
    retried = await ask(store, settings, "first", serves=True)
    later = await ask(store, settings, "second", serves=True)
    assert (first.replayed, retried.replayed, later.replayed) == (False, False, True)
    assert first.answer == retried.answer == later.answer


async def test_an_answer_that_is_not_final_is_not_remembered(store: Store, settings: TaskSettings) -> None:
    await ask(store, settings, "first", serves=False)
    assert await store.journal.served(settings.name, "r") is None


async def test_a_request_id_that_comes_with_another_input_is_refused(store: Store, settings: TaskSettings) -> None:
    await ask(store, settings, "first", serves=True)
    with pytest.raises(ApplicationError, match="request id") as refused:
        await ask(store, settings, "second", serves=True, text="y")
    assert refused.value.non_retryable


class Slow(LocalModels):
    """Takes half a second for the first answer, as a model does that is being loaded."""

    def of(self, settings: TaskSettings) -> LocalModel:
        model = super().of(settings)
        answer = model.answer

        async def late(input: dict[str, Any], version: int) -> Answer:
            await asyncio.sleep(0.5)
            return await answer(input, version)

        model.answer = late  # type: ignore[method-assign]
        return model


async def test_a_model_that_takes_its_time_is_not_taken_for_dead(store: Store, settings: TaskSettings) -> None:
    beats: list[Any] = []
    environment = ActivityEnvironment()
    environment.info = replace(environment.info, heartbeat_timeout=timedelta(seconds=0.3))
    environment.on_heartbeat = lambda *details: beats.append(details)
    await environment.run(AskLocal(store, Slow(), now).ask_local, call_of(settings, "first", serves=True))
    assert len(beats) >= 2


class Failing(LocalModels):
    """Gives no answer, for a reason that has a name."""

    def __init__(self, error: LocalError) -> None:
        super().__init__()
        self._error = error

    def of(self, settings: TaskSettings) -> LocalModel:
        model = super().of(settings)

        async def fail(input: dict[str, Any], version: int) -> Answer:
            raise self._error

        model.answer = fail  # type: ignore[method-assign]
        return model


@pytest.mark.parametrize(
    "error",
    [ServerDown("it is down"), ServerBusy("it is busy"), BadAnswer("it is nonsense"), ModelUnavailable("t", 1, "gone")],
    ids=lambda error: type(error).__name__,
)
async def test_why_there_is_no_local_answer_is_named_and_not_retried(
    store: Store, settings: TaskSettings, error: LocalError
) -> None:
    call = call_of(settings, "first", serves=True)
    with pytest.raises(ApplicationError, match=str(error)) as told:
        await ActivityEnvironment().run(AskLocal(store, Failing(error), now).ask_local, call)
    assert told.value.type == type(error).__name__
    assert told.value.non_retryable
    assert await store.journal.served(settings.name, "r") is None


async def test_another_prompt_is_another_model(settings: TaskSettings) -> None:
    models, changed = LocalModels(), settings.model_copy(update={"description": "sort the tickets"})
    assert models.of(settings) is models.of(settings.model_copy(update={"schema_version": 9}))
    assert models.of(settings) is not models.of(changed)
