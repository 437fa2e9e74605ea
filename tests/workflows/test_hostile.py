"""What callers, operators and failing parts may throw at a task: it says no by name, or goes on, and never wedges."""

import asyncio
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.client import WorkflowExecutionStatus, WorkflowUpdateFailedError
from temporalio.common import RawValue
from temporalio.service import RPCError

from apprentice.messages import ApplySettings, RouteReason, Source
from apprentice.settings import TaskSettings
from client import Apprentice, InvalidInput, OrderRefused, RequestFailed
from tests.conftest import DevEnv
from tests.workflows.conftest import Running, SettingsOf
from tests.workflows.traffic import QUICK, autonomous, send, settled, tickets
from workflows.burst import LARGEST_INPUT
from workflows.ids import fine_tune_id, lifecycle_id
from workflows.serving import Serving

ALIVE_SECONDS = 20
SIGNALS = ["force_remote", "pause_coaching", "fine_tuned", "resume", "retrain", "no_such_signal"]


async def answers(apprentice: Apprentice, settings: TaskSettings) -> None:
    """The task still answers."""
    await apprentice.run(settings.name, {"text": "are you there"}, deadline=ALIVE_SECONDS)


# --- operators -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("until", ["2031-01-01T00:00:00", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "tomorrow"])
async def test_an_odd_time_in_an_order_does_not_wedge_the_task(
    running: Running, settings_of: SettingsOf, dev_env: DevEnv, until: str
) -> None:
    settings = settings_of()
    order = {"type": "force_remote", "until": until}
    async with running(settings) as apprentice:
        handle = dev_env.client.get_workflow_handle(lifecycle_id(settings.name))
        await handle.signal("force_remote", order)
        await answers(apprentice, settings)
        try:
            await asyncio.wait_for(handle.execute_update("operate", order), ALIVE_SECONDS)
        except WorkflowUpdateFailedError:
            assert not until.endswith("Z"), "a time with a zone is fine"
        await answers(apprentice, settings)


@pytest.mark.parametrize("arguments", [[], [None], [{}], ["text"], [{}, {}], ["a", 1, None]], ids=str)
@pytest.mark.parametrize("signal", SIGNALS)
async def test_a_signal_with_the_wrong_arguments_does_not_wedge_the_task(
    running: Running, settings_of: SettingsOf, dev_env: DevEnv, signal: str, arguments: list[object]
) -> None:
    """Signals stay in the history: one that fails would fail for ever."""
    settings = settings_of()
    async with running(settings) as apprentice:
        await dev_env.client.get_workflow_handle(lifecycle_id(settings.name)).signal(signal, args=arguments)
        await answers(apprentice, settings)


@pytest.mark.parametrize("payload", [{"nonsense": 1}, "text", {"request_id": "", "task": "x", "input": {}}], ids=str)
@pytest.mark.parametrize("update", ["submit", "operate"])
async def test_a_malformed_update_is_refused(
    running: Running, settings_of: SettingsOf, dev_env: DevEnv, update: str, payload: object
) -> None:
    settings = settings_of()
    async with running(settings) as apprentice:
        handle = dev_env.client.get_workflow_handle(lifecycle_id(settings.name))
        with pytest.raises(WorkflowUpdateFailedError):
            await asyncio.wait_for(handle.execute_update(update, payload), ALIVE_SECONDS)
        await answers(apprentice, settings)


UNUSABLE: list[tuple[dict[str, Any], str]] = [
    ({"budget": {"timezone": "Mars/Phobos"}}, "Mars/Phobos"),
    ({"remote": {"provider": "simulated", "model": "nobody-knows-its-price"}}, "price"),
    ({"evaluator": "no_such_evaluator"}, "no_such_evaluator"),
    ({"input_schema": {"text": "no_such_type"}}, "no_such_type|schema"),
]


@pytest.mark.parametrize(("change", "words"), UNUSABLE, ids=lambda value: str(value)[:30])
async def test_settings_that_cannot_work_are_refused_at_the_start_and_by_a_running_task(
    running: Running, settings_of: SettingsOf, dev_env: DevEnv, change: dict[str, Any], words: str
) -> None:
    settings = settings_of()
    bad = TaskSettings.model_validate(settings.model_dump(mode="json") | change)
    with pytest.raises(OrderRefused, match=words):
        await Apprentice(dev_env.client, task_queue="nobody").apply(bad)
    async with running(settings) as apprentice:
        with pytest.raises(OrderRefused, match=words):
            await apprentice.operate(settings.name, ApplySettings(settings=bad))
        await answers(apprentice, settings)


async def test_the_settings_of_another_task_are_refused(running: Running, settings_of: SettingsOf) -> None:
    settings = settings_of()
    async with running(settings) as apprentice:
        with pytest.raises(OrderRefused, match=settings.name):
            await apprentice.operate(settings.name, ApplySettings(settings=settings_of()))


async def test_a_task_started_anew_goes_on_while_a_fine_tune_of_its_former_life_runs(
    running: Running, settings_of: SettingsOf, dev_env: DevEnv
) -> None:
    settings = settings_of(**QUICK)
    async with running(settings) as apprentice:
        await dev_env.client.start_workflow(
            "FineTuneWorkflow", {}, id=fine_tune_id(settings.name, 1), task_queue="nobody"
        )
        await send(apprentice, settings.name, tickets(80))
        assert (await apprentice.status(settings.name)).training == 1
        await answers(apprentice, settings)
        description = await dev_env.client.get_workflow_handle(lifecycle_id(settings.name)).describe()
    assert description.status is WorkflowExecutionStatus.RUNNING


# --- callers ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [LARGEST_INPUT, 5_000_000])
async def test_an_input_that_is_too_large_is_refused_by_name_and_does_not_hurt_others(
    running: Running, settings_of: SettingsOf, size: int
) -> None:
    settings = settings_of()
    async with running(settings) as apprentice:
        with pytest.raises(InvalidInput, match="bytes"):
            await apprentice.run(settings.name, {"text": "x" * size}, deadline=ALIVE_SECONDS)
        await apprentice.run(settings.name, {"text": "x" * (LARGEST_INPUT - 500)}, deadline=ALIVE_SECONDS)


@pytest.mark.slow
@pytest.mark.parametrize(("count", "size"), [(40, 95_000), (100, 60_000), (200, 15_000), (400, 100)])
async def test_many_large_inputs_at_once_are_all_answered(
    running: Running, settings_of: SettingsOf, count: int, size: int
) -> None:
    """More than 4 MiB in one report of a worker are the end of a workflow: its server terminates it."""
    settings = settings_of(**QUICK, name=f"many_large_{size}")
    async with running(settings) as apprentice:
        await send(apprentice, settings.name, tickets(100))
        await settled(apprentice, settings.name)
        large = [{"text": f"{number} " + "x" * size} for number in range(count)]
        results = await send(apprentice, settings.name, large, at_once=count)
        status = await apprentice.status(settings.name)
    assert len(results) == count
    assert status.requests == 100 + count
    assert any(result.trace.score is not None for result in results), "both models were asked"


@pytest.mark.slow
async def test_many_clients_with_large_inputs_do_not_end_a_task(
    running: Running, settings_of: SettingsOf, dev_env: DevEnv
) -> None:
    """Each client bounds its own bytes in flight; together they are over what the server lets in."""
    settings = settings_of()
    large = [{"text": f"{number} " + "x" * 60_000} for number in range(120)]
    async with running(settings) as apprentice:
        await answers(apprentice, settings)
        clients = [Apprentice(dev_env.client, concurrency=100) for _ in range(6)]
        parts = [send(one, settings.name, large[n::6], at_once=20) for n, one in enumerate(clients)]
        await asyncio.gather(*parts)
        assert (await apprentice.status(settings.name)).requests == 121


DEEP = "[" * 100_000 + "]" * 100_000
RAW: dict[str, tuple[str, str]] = {
    "a megabyte": (f'"{"x" * 900_000}"', ""),
    "100,000 deep": (DEEP, "."),
    "33 deep": ("[" * 33 + "]" * 33, "nested deeper|valid list|expected"),
    "NaN": ("NaN", "."),
    "Infinity": ("-Infinity", "."),
    "lone surrogate": (r'"\ud800"', "."),
    "NUL": (r'"a\u0000b"', "NUL"),
    "huge whole number": ("9" * 5000, "."),
    "70 bits": ("1180591620717411303424", "64 bits|expected"),
    "no JSON": ("{", "."),
    "no UTF-8": ("\udcff", "."),
}


@pytest.mark.parametrize("case", RAW)
@pytest.mark.parametrize("field", ["str", "dict", "float", "list"])
async def test_what_our_client_would_refuse_is_refused_by_the_workflow_as_well(
    running: Running, settings_of: SettingsOf, dev_env: DevEnv, case: str, field: str
) -> None:
    """By hand, past the client: an update whose bytes are anything. The worker goes on."""
    settings = settings_of(input_schema={"text": "str?", "value": f"{field}?"})
    value, words = RAW[case]
    if field == "dict":
        value = f'{{"a": {value}}}'
    text = f'{{"request_id": "r", "task": "{settings.name}", "input": {{"value": {value}}}}}'
    payload = Payload(metadata={"encoding": b"json/plain"}, data=text.encode(errors="surrogateescape"))
    async with running(settings) as apprentice:
        handle = dev_env.client.get_workflow_handle(lifecycle_id(settings.name))
        asked = handle.execute_update("submit", RawValue(payload))
        if (case, field) != ("70 bits", "float") and (words or field in ("float", "list")):
            with pytest.raises(WorkflowUpdateFailedError) as caught:
                await asyncio.wait_for(asked, ALIVE_SECONDS)
            assert re.search(words or ".", str(caught.value.cause))
        else:
            await asyncio.wait_for(asked, ALIVE_SECONDS)
        await answers(apprentice, settings)


async def test_an_update_of_ten_megabytes_does_not_reach_the_task(
    running: Running, settings_of: SettingsOf, dev_env: DevEnv
) -> None:
    settings = settings_of()
    async with running(settings) as apprentice:
        handle = dev_env.client.get_workflow_handle(lifecycle_id(settings.name))
        request = {"request_id": "r", "task": settings.name, "input": {"text": "x" * 10_000_000}}
        with pytest.raises(RPCError):
            await asyncio.wait_for(handle.execute_update("submit", request), ALIVE_SECONDS)
        await answers(apprentice, settings)


async def test_a_request_id_with_another_input_is_refused_however_it_is_sent(
    running: Running, settings_of: SettingsOf
) -> None:
    settings = settings_of()
    async with running(settings) as apprentice:
        await apprentice.run(settings.name, {"text": "one"}, request_id="r", deadline=ALIVE_SECONDS)
        for attempt in (0, 1):
            with pytest.raises(RequestFailed, match="RequestIdReused"):
                await apprentice.run(
                    settings.name, {"text": "two"}, request_id="r", attempt=attempt, deadline=ALIVE_SECONDS
                )


async def test_no_request_id_can_be_taken_for_another_one_sent_again(running: Running, settings_of: SettingsOf) -> None:
    settings = settings_of()
    async with running(settings) as apprentice:
        await apprentice.run(settings.name, {"text": "one"}, request_id="a", attempt=1, deadline=ALIVE_SECONDS)
        result = await apprentice.run(settings.name, {"text": "one"}, request_id="a~1", deadline=ALIVE_SECONDS)
    assert result.request_id == "a~1"
    assert not result.trace.replayed


# --- failing parts ---------------------------------------------------------------------------------------------


async def test_an_unexpected_exception_in_the_workflow_fails_its_request_and_no_other(
    running: Running, settings_of: SettingsOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of(budget={"daily": "1"})
    finish = Serving._finish

    async def broken(self: Serving, *arguments: Any) -> Any:
        if self.request.request_id == "unlucky":
            raise KeyError("a mistake of ours")
        return await finish(self, *arguments)

    monkeypatch.setattr(Serving, "_finish", broken)
    async with running(settings) as apprentice:
        with pytest.raises(RequestFailed, match="InternalError: KeyError"):
            await apprentice.run(settings.name, {"text": "one"}, request_id="unlucky", deadline=ALIVE_SECONDS)
        await answers(apprentice, settings)
        status = await apprentice.status(settings.name)
    assert status.caps[0].reserved == 0


@pytest.mark.slow
async def test_a_worker_without_the_model_asks_the_remote_one(running: Running, settings_of: SettingsOf) -> None:
    settings = settings_of(**QUICK, name="without_the_model")
    async with running(settings) as apprentice:
        await send(apprentice, settings.name, tickets(60))
        await settled(apprentice, settings.name)
        await autonomous(apprentice, settings.name)
    await asyncio.to_thread(shutil.rmtree, Path(settings.local.model_dir))
    async with running(settings) as apprentice:
        results = await send(apprentice, settings.name, tickets(20, first=800))
    assert {result.trace.served_by for result in results} == {Source.REMOTE}
    assert RouteReason.LOCAL_FAILED in {result.trace.reason for result in results}
