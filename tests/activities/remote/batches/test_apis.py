"""Batch APIs at wire level: what is sent the official SDKs can type, what comes back is read and priced."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import anthropic
import httpx
import openai
import pytest
from anthropic.types.messages import MessageBatchIndividualResponse
from openai.types.responses import Response
from pydantic import TypeAdapter

from activities.remote import registry
from activities.remote.batches.api import BatchApi, Sending, Undecided
from activities.remote.batches.registry import OVER_HTTP, batch_api
from activities.remote.errors import ContentRefused, InvalidRequest, RemoteError, TimedOut
from activities.remote.model import Question
from apprentice import prompts
from apprentice.messages import TaskRequest
from apprentice.settings import TaskSettings
from tests.fakes.batches import INPUT_TOKENS, OUTPUT_TOKENS, BatchServer

PRICE = {"input_per_million": "3", "output_per_million": "15"}
AT_HALF = (INPUT_TOKENS * Decimal(3) + OUTPUT_TOKENS * Decimal(15)) / 1_000_000 / 2
NOW = datetime.now(UTC)


@pytest.fixture
def server() -> Iterator[BatchServer]:
    with BatchServer() as running:
        yield running


@pytest.fixture(params=OVER_HTTP)
def provider(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if name not in registry.DIALECTS:
        pytest.skip(f"there is no dialect of {name}")
    return name


@pytest.fixture
def task(provider: str, server: BatchServer, monkeypatch: pytest.MonkeyPatch) -> TaskSettings:
    monkeypatch.setenv("TEST_KEY", "sk-test")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    remote: dict[str, Any] = {
        "provider": provider,
        "model": "claude-sonnet-4-5" if provider == "anthropic" else "gpt-5",
    }
    return TaskSettings.model_validate(
        {
            "name": "tickets",
            "input_schema": {"text": "str"},
            "output_schema": {"category": ["billing", "shipping"]},
            "remote": remote | {"price": PRICE, "api_key_env": "TEST_KEY", "base_url": server.base_url},
        }
    )


@pytest.fixture
def api(task: TaskSettings) -> BatchApi:
    return batch_api(task.remote, task)


def questions(task: TaskSettings, count: int = 4, first: int = 0) -> list[Question]:
    return [
        Question(
            request=TaskRequest(request_id=f"r{number}", task=task.name, input={"text": f"ü\u2028 {number}"}),
            prompt=prompts.build(task, {"text": f"ü\u2028 {number}"}),
            key=f"{number:064x}",
            limit=Decimal(1),
            max_output_tokens=100,
        )
        for number in range(first, first + count)
    ]


def sending(task: TaskSettings, count: int = 4, marker: str = "m" * 64, first: int = 0, **more: Any) -> Sending:
    return Sending(marker=marker, questions=questions(task, count, first), begun=NOW, **more)


async def fetched(api: BatchApi, id: str, asked: Sending) -> dict[str, Any]:
    assert (await api.look(id)).done
    return {key: response async for key, response in api.results(id, asked.questions)}


async def test_a_batch_is_answered_at_the_batch_price(api: BatchApi, task: TaskSettings, server: BatchServer) -> None:
    asked = sending(task)
    id = await api.submit(asked)
    assert [batch["keys"] for batch in server.sent()] == [[question.key for question in asked.questions]]
    results = await fetched(api, id, asked)
    assert results.keys() == {question.key for question in asked.questions}
    for response in results.values():
        answer = api.answer(response, Decimal(1))
        assert answer.output["category"] in ("billing", "shipping")
        assert (answer.input_tokens, answer.output_tokens, answer.cost) == (INPUT_TOKENS, OUTPUT_TOKENS, AT_HALF)


async def test_what_the_fake_says_is_what_the_official_sdk_reads(
    api: BatchApi, task: TaskSettings, provider: str, server: BatchServer
) -> None:
    asked = sending(task)
    id = await api.submit(asked)
    if provider == "openai":
        sdk = openai.OpenAI(api_key="k", base_url=server.base_url)
        batch = sdk.batches.retrieve(id)
        assert (batch.status, batch.metadata) == ("completed", {"apprentice": asked.marker})
        assert [one.id for one in sdk.batches.list()] == [id]
        assert batch.output_file_id is not None
        lines = [json.loads(line) for line in sdk.files.content(batch.output_file_id).text.splitlines()]
        for line in lines:
            TypeAdapter(Response).validate_python(line["response"]["body"])
    else:
        claude = anthropic.Anthropic(api_key="k", base_url=server.root)
        found = claude.messages.batches.retrieve(id)
        assert (found.processing_status, found.request_counts.succeeded) == ("ended", 4)
        assert [one.id for one in claude.messages.batches.list()] == [id]
        async with httpx.AsyncClient(trust_env=False) as client:
            content = (await client.get(f"{server.base_url}/messages/batches/{id}/results")).text
        for line in content.splitlines():
            read = MessageBatchIndividualResponse.model_validate_json(line)
            assert read.result.type == "succeeded"


async def test_what_became_of_each_question_is_told_apart(
    api: BatchApi, task: TaskSettings, server: BatchServer
) -> None:
    server.order(items=["answered", "declined", "invalid", "failed"])
    asked = sending(task)
    results = list((await fetched(api, await api.submit(asked), asked)).items())
    by_key = dict(results)
    answered, declined, invalid, failed = (by_key[question.key] for question in asked.questions)
    assert api.answer(answered, Decimal(1)).cost == AT_HALF
    with pytest.raises(ContentRefused) as refused:
        api.answer(declined, Decimal(1))
    assert refused.value.cost == AT_HALF
    assert isinstance(invalid, InvalidRequest)
    assert isinstance(failed, RemoteError)
    assert not failed.charged


async def test_of_a_batch_that_expired_nothing_is_paid(api: BatchApi, task: TaskSettings, server: BatchServer) -> None:
    server.order(fate="expire")
    asked = sending(task)
    results = await fetched(api, await api.submit(asked), asked)
    assert len(results) == 4
    assert all(isinstance(result, RemoteError) and not result.charged for result in results.values())


async def test_a_batch_that_is_cancelled_ends(api: BatchApi, task: TaskSettings, server: BatchServer) -> None:
    server.order(fate="never")
    asked = sending(task)
    id = await api.submit(asked)
    assert not (await api.look(id)).done
    await api.cancel(id)
    results = await fetched(api, id, asked)
    assert all(isinstance(result, RemoteError) for result in results.values())


async def test_a_batch_whose_name_was_lost_is_found_among_many(
    api: BatchApi, task: TaskSettings, server: BatchServer
) -> None:
    ours = sending(task)
    assert await api.find(ours) is None
    for other in range(3):
        await api.submit(sending(task, marker=f"other {other}", first=100 * (other + 1)))
    server.order(forget_answer=1)
    with pytest.raises(TimedOut):
        await api.submit(ours)
    for other in range(3):
        await api.submit(sending(task, marker=f"later {other}", first=1000 * (other + 1)))
    assert await api.find(ours) == server.sent()[3]["id"]
    assert await api.find(sending(task, marker="never sent", first=5000)) is None


async def test_while_nobody_can_tell_whose_a_batch_is_it_is_not_sent_again(
    api: BatchApi, task: TaskSettings, server: BatchServer, provider: str
) -> None:
    server.order(fate="never", forget_answer=1)
    ours = sending(task)
    with pytest.raises(TimedOut):
        await api.submit(ours)
    (sent,) = server.sent()
    if provider == "openai":
        assert await api.find(ours) == sent["id"]
        return
    with pytest.raises(Undecided):
        await api.find(ours)
    assert await api.find(sending(task, taken=frozenset({sent["id"]}))) is None, "one that is another's is not ours"
    assert await api.find(sending(task, count=3)) is None, "one of another size is not ours"


# Anthropic refuses at once, or each request by itself.
@pytest.mark.parametrize("provider", ["openai"], indirect=True)
async def test_a_refused_batch_says_why(api: BatchApi, task: TaskSettings, server: BatchServer) -> None:
    server.order(fate="refuse")
    state = await api.look(await api.submit(sending(task)))
    assert state.done
    assert "model_not_found" in (state.failed or "")


async def test_an_old_batch_is_not_taken_for_ours(api: BatchApi, task: TaskSettings, server: BatchServer) -> None:
    await api.submit(sending(task))
    later = Sending(marker="x", questions=questions(task), begun=NOW + timedelta(days=1))
    assert await api.find(later) is None
