"""The lifecycle workflow on a real server: one request, the phases, the caps, the rollover, the orders."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from temporalio.client import Client, Interceptor, OutboundInterceptor, QueryWorkflowInput
from temporalio.contrib.pydantic import pydantic_data_converter

from activities.store import Store
from apprentice.messages import ForceRemote, PauseCoaching, Phase, Resume, RouteReason, Source
from apprentice.prices import reservation
from client import Apprentice, BudgetExhausted, DeadlineExceeded, InvalidInput, OrderRefused, UnknownTask
from tests.conftest import DevEnv
from tests.workflows.conftest import Running, SettingsOf
from tests.workflows.traffic import QUICK, send, settled, tickets, until
from workflows import TaskLifecycleWorkflow
from workflows.ids import lifecycle_id


async def test_a_request_gets_the_remote_answer_and_says_where_it_came_from(
    running: Running, settings_of: SettingsOf
) -> None:
    settings = settings_of()
    async with running(settings) as apprentice:
        result = await apprentice.run(settings.name, {"text": "I was charged twice"}, deadline=30)
    assert result.output["category"] in settings.output_schema["category"]
    assert not result.degraded
    assert result.trace.served_by is Source.REMOTE
    assert result.trace.reason is RouteReason.COLLECTING
    assert result.trace.cost > 0


async def test_a_request_id_gets_the_same_answer_however_often_it_is_sent(
    running: Running, settings_of: SettingsOf
) -> None:
    settings = settings_of()
    async with running(settings) as apprentice:
        ask = [apprentice.run(settings.name, {"text": "again"}, request_id="r", attempt=n) for n in range(5)]
        results = await asyncio.gather(*ask)
        status = await apprentice.status(settings.name)
    assert len({result.model_dump_json(include={"output"}) for result in results}) == 1
    assert [result.trace.replayed for result in results].count(False) == 1
    assert status.requests == 1
    assert status.spend == results[0].trace.cost


@pytest.mark.parametrize("input", [{}, {"text": 3}, {"text": "a", "more": 1}, {"text": None}])
async def test_an_input_that_breaks_the_schema_is_refused_by_name_and_leaves_no_trace(
    running: Running, settings_of: SettingsOf, dev_env: DevEnv, input: dict[str, object]
) -> None:
    settings = settings_of()
    async with running(settings) as apprentice:
        await apprentice.status(settings.name)
        handle = dev_env.client.get_workflow_handle(lifecycle_id(settings.name))
        await asyncio.sleep(0.5)  # the start of the workflow has its own events
        before = (await handle.describe()).history_length
        with pytest.raises(InvalidInput, match=r"text|more"):
            await apprentice.run(settings.name, input, deadline=30)
        events = [event async for event in handle.fetch_history_events()]
    accepted = [event for event in events if event.HasField("workflow_execution_update_accepted_event_attributes")]
    assert before > 0
    assert not accepted


async def test_a_task_that_is_not_running_is_named(dev_env: DevEnv) -> None:
    with pytest.raises(UnknownTask, match="no_such_task"):
        await Apprentice(dev_env.client).run("no_such_task", {}, deadline=30)


async def test_a_deadline_ends_the_waiting_and_the_answer_can_be_collected_later(
    running: Running, settings_of: SettingsOf
) -> None:
    slow = {"latency_seconds": 1.5, "latency_spread": 0}
    base = settings_of()
    remote = base.remote.model_dump() | {"simulation": slow}
    settings = settings_of(remote=remote)
    async with running(settings) as apprentice:
        with pytest.raises(DeadlineExceeded, match="r-1"):
            await apprentice.run(settings.name, {"text": "slow"}, request_id="r-1", deadline=0.3)
        collected = await apprentice.run(settings.name, {"text": "slow"}, request_id="r-1", deadline=30)
        status = await apprentice.status(settings.name)
    assert collected.trace.served_by is Source.REMOTE
    assert status.requests == 1


async def test_the_phases_go_one_two_three_without_a_hand_and_the_remote_model_is_withdrawn(
    running: Running, settings_of: SettingsOf
) -> None:
    settings = settings_of(sampling=QUICK["sampling"])
    async with running(settings) as apprentice:
        for first in range(0, 1000, 20):
            await send(apprentice, settings.name, tickets(20, seed=first, first=first))
            status = await until(apprentice, settings.name, lambda status: status.training is None)
            if status.phase is Phase.AUTONOMOUS and status.local > 50 and status.sampling_rate < 1.0:
                break
        story = await apprentice.history(settings.name)
    phases = [point.phase for point in story]
    assert phases == sorted(phases)
    assert status.phase is Phase.AUTONOMOUS
    assert status.version is not None
    assert status.local > 50
    assert status.sampling_rate < 1.0
    assert status.spend < status.all_remote
    assert status.correlation is not None
    assert status.correlation.low <= status.correlation.mean <= status.correlation.high


async def test_spend_never_passes_the_cap_under_100_concurrent_requests(
    running: Running, settings_of: SettingsOf, tmp_path: object
) -> None:
    base = settings_of()
    input = {"text": "exactly the same length 00"}
    upper = reservation(base, input)
    settings = settings_of(budget={"daily": str(upper * 10)})
    async with running(settings) as apprentice:
        requests = [
            apprentice.run(settings.name, {"text": f"exactly the same length {n:02}"}, deadline=60) for n in range(100)
        ]
        results = await asyncio.gather(*requests, return_exceptions=True)
        status = await apprentice.status(settings.name)
    refused = [result for result in results if isinstance(result, BudgetExhausted)]
    answered = [result for result in results if not isinstance(result, BaseException)]
    assert len(refused) + len(answered) == 100
    assert len(answered) >= 10
    assert status.spend == sum((result.trace.cost for result in answered), Decimal(0))
    assert status.spend <= status.caps[0].cap
    assert status.caps[0].reserved == 0
    assert all(error.resets is not None and error.resets > datetime.now(UTC) for error in refused)
    assert [alert.kind for alert in status.alerts] == ["budget"] * bool(refused)


async def test_a_rollover_under_load_loses_no_request_and_remembers_every_answer(
    running: Running, settings_of: SettingsOf, dev_env: DevEnv, tmp_path: object
) -> None:
    settings = settings_of(confidence_thresholds={"phase1_to_phase2": 100_000})
    handle = dev_env.client.get_workflow_handle(lifecycle_id(settings.name))
    async with running(settings) as apprentice:
        first = await apprentice.run(settings.name, {"text": "first"}, request_id="first", deadline=30)
        before = (await handle.describe()).run_id
        requests = [
            apprentice.run(settings.name, {"text": f"number {n}"}, request_id=f"r-{n}", deadline=240)
            for n in range(2000)
        ]
        results = await asyncio.gather(*requests)
        after = (await handle.describe()).run_id
        again = await apprentice.run(settings.name, {"text": "first"}, request_id="first", deadline=30)
        status = await apprentice.status(settings.name)
    assert before != after, "2,000 requests are more than one run takes"
    assert len({result.request_id for result in results}) == 2000
    assert status.requests == 2001
    assert again.output == first.output
    assert again.trace.replayed


async def test_a_request_id_with_another_input_is_refused(running: Running, settings_of: SettingsOf) -> None:
    settings = settings_of()
    async with running(settings) as apprentice:
        await apprentice.run(settings.name, {"text": "one"}, request_id="r", deadline=30)
        with pytest.raises(Exception, match="RequestIdReused"):
            await apprentice.run(settings.name, {"text": "two"}, request_id="r", attempt=1, deadline=30)


async def test_orders_change_a_running_task_and_signals_do_the_same(
    running: Running, settings_of: SettingsOf, dev_env: DevEnv
) -> None:
    settings = settings_of()
    until = datetime.now(UTC) + timedelta(hours=1)
    async with running(settings) as apprentice:
        assert (await apprentice.operate(settings.name, ForceRemote(until=until))).forced_until == until
        assert not (await apprentice.operate(settings.name, Resume())).forced_remote
        assert (await apprentice.operate(settings.name, PauseCoaching())).coaching_paused
        handle = dev_env.client.get_workflow_handle(lifecycle_id(settings.name))
        await handle.signal(TaskLifecycleWorkflow.pause_coaching, PauseCoaching(paused=False))
        await handle.signal(TaskLifecycleWorkflow.force_remote, ForceRemote())
        await handle.signal(TaskLifecycleWorkflow.retrain)
        status = await apprentice.status(settings.name)
        assert not status.coaching_paused
        assert status.forced_remote
        assert status.forced_until is None
        await handle.signal(TaskLifecycleWorkflow.resume)
        assert not (await apprentice.status(settings.name)).forced_remote


async def test_apply_changes_the_caps_of_a_running_task_and_refuses_another_schema(
    running: Running, settings_of: SettingsOf
) -> None:
    settings = settings_of()
    async with running(settings) as apprentice:
        capped = settings.model_copy(update={"budget": settings.budget.model_copy(update={"daily": Decimal(0)})})
        assert await apprentice.apply(capped) is False
        with pytest.raises(BudgetExhausted):
            await apprentice.run(settings.name, {"text": "too dear"}, deadline=30)
        assert await apprentice.apply(settings) is False
        await apprentice.run(settings.name, {"text": "fits again"}, deadline=30)
        with pytest.raises(OrderRefused, match="schema"):
            await apprentice.apply(settings.model_copy(update={"input_schema": {"body": "str"}}))


async def test_a_full_cap_takes_back_no_answer_that_was_given(running: Running, settings_of: SettingsOf) -> None:
    settings = settings_of()
    async with running(settings) as apprentice:
        first = await apprentice.run(settings.name, {"text": "in time"}, request_id="r-1", deadline=30)
        capped = settings.model_copy(update={"budget": settings.budget.model_copy(update={"daily": Decimal(0)})})
        await apprentice.apply(capped)
        before = await apprentice.status(settings.name)
        again = await apprentice.run(settings.name, {"text": "in time"}, request_id="r-1", attempt=1, deadline=30)
        after = await apprentice.status(settings.name)
        with pytest.raises(BudgetExhausted):
            await apprentice.run(settings.name, {"text": "too late"}, request_id="r-2", deadline=30)
    assert (again.output, again.trace.replayed) == (first.output, True)
    assert (after.requests, after.spend) == (before.requests, before.spend)


class NoQueries(Interceptor):
    """A client that fails on a query: one of those can wedge a task (`TaskLifecycleWorkflow.look`)."""

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:
        class Refusing(OutboundInterceptor):
            async def query_workflow(self, input: QueryWorkflowInput) -> Any:
                raise AssertionError("queried")

        return Refusing(next)


async def test_looking_at_a_task_is_no_query_and_leaves_no_trace_in_its_history(
    running: Running, settings_of: SettingsOf, dev_env: DevEnv
) -> None:
    settings = settings_of()
    client = await Client.connect(dev_env.address, data_converter=pydantic_data_converter, interceptors=[NoQueries()])
    onlooker = Apprentice(client)
    handle = dev_env.client.get_workflow_handle(lifecycle_id(settings.name))
    async with running(settings) as apprentice:
        await apprentice.run(settings.name, {"text": "a first one"}, deadline=30)
        before = (await handle.describe()).history_length
        for _ in range(5):
            assert (await onlooker.status(settings.name)).requests == 1
            assert [point.requests for point in await onlooker.history(settings.name)] == [1]
        assert (await handle.describe()).history_length == before


async def test_the_web_ui_tells_the_story(running: Running, settings_of: SettingsOf, dev_env: DevEnv) -> None:
    settings = settings_of()
    async with running(settings) as apprentice:
        await apprentice.run(settings.name, {"text": "a secret of the caller"}, deadline=30)
        description = await dev_env.client.get_workflow_handle(lifecycle_id(settings.name)).describe()
        details = await dev_env.client.get_workflow_handle(lifecycle_id(settings.name)).query(
            "__temporal_workflow_metadata"
        )
    attributes = {pair.key.name: pair.value for pair in description.typed_search_attributes}
    assert attributes["ApprenticeTask"] == settings.name
    assert attributes["ApprenticePhase"] == 1
    assert attributes["ApprenticeSamplingRate"] == 1.0
    assert "collecting" in str(details)
    assert "secret" not in str(details) + str(attributes)


async def test_every_paid_call_is_in_the_journal_and_adds_up_to_the_ledger(
    running: Running, settings_of: SettingsOf, tmp_path: object
) -> None:
    settings = settings_of()
    async with running(settings) as apprentice:
        await asyncio.gather(*(apprentice.run(settings.name, {"text": f"number {n}"}, deadline=60) for n in range(60)))
        status = await apprentice.status(settings.name)
    async with await Store.open(f"sqlite:///{tmp_path}/store.db") as store:
        assert await store.journal.spend(settings.name) == status.spend
        assert (await store.journal.unknown(settings.name)).calls == 0


async def test_a_task_started_anew_goes_on_with_its_examples_and_version_numbers(
    running: Running, settings_of: SettingsOf, dev_env: DevEnv
) -> None:
    settings = settings_of(confidence_thresholds={"phase1_to_phase2": 60})
    async with running(settings) as apprentice:
        asked = [apprentice.run(settings.name, {"text": f"number {n} parcel"}, deadline=60) for n in range(80)]
        await asyncio.gather(*asked)
        before = await settled(apprentice, settings.name)
        await dev_env.client.get_workflow_handle(lifecycle_id(settings.name)).terminate()
        assert await apprentice.apply(settings)
        await apprentice.run(settings.name, {"text": "one more"}, deadline=60)
        after = await settled(apprentice, settings.name)
    assert after.examples == before.examples + 1
    assert after.versions[0].version == before.versions[0].version + 1
