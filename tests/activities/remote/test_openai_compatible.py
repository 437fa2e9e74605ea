"""`openai_compatible` against a server that speaks the API, with OpenAI's own SDK as the judge of both."""

import asyncio
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime
from typing import Any

import httpx
import openai
import pytest
from openai.types.chat import ChatCompletion
from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming
from pydantic import TypeAdapter
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.remote.ask import AskRemote
from activities.remote.errors import (
    AuthFailed,
    ContentFiltered,
    ContentRefused,
    CutOff,
    InvalidAnswer,
    InvalidRequest,
    Overloaded,
    QuotaExhausted,
    RateLimited,
    RemoteError,
    TimedOut,
    Unreachable,
    Unusable,
)
from activities.remote.http import refusal, retry_after
from activities.remote.model import Question
from activities.remote.openai_compatible import OpenAICompatible
from activities.remote.registry import remote_model
from activities.store import Store, Unknown
from apprentice import prompts
from apprentice.messages import Answer, RemoteCall, Reply, TaskRequest
from apprentice.prices import reservation
from apprentice.schema import compile_schema
from apprentice.settings import TaskSettings
from tests.fakes.chat_completions import UNPAID, ChatServer, Fault

Make = Callable[..., TaskSettings]
NOW = datetime(2026, 3, 1, tzinfo=UTC)
EVERYTHING = {
    "category": ["billing", "shipping"],
    "priority": "int",
    "note": "str?",
    "tags": "list[str]",
    "nested": {"sure": "bool?", "share": "float"},
}


@pytest.fixture(scope="module")
def server() -> Iterator[ChatServer]:
    with ChatServer() as running:
        yield running


@pytest.fixture
def at(server: ChatServer, settings: Make) -> Make:
    """Settings of a task at the fake server, with half a second for a call."""
    server.heal()

    def make(**changes: Any) -> TaskSettings:
        values = {"provider": "openai_compatible", "base_url": server.base_url, "timeout_seconds": 0.5}
        return settings(**values | changes)

    return make


TEXT = "card broken, ünïcode"


def request(text: str = TEXT) -> TaskRequest:
    return TaskRequest(request_id="r-1", task="tickets", input={"text": text})


async def ask(settings: TaskSettings, key: str = "key-1") -> Answer:
    return await remote_model(settings.remote, settings).ask(question(settings, key))


def question(settings: TaskSettings, key: str = "key-1", text: str = TEXT) -> Question:
    one, limit = request(text), reservation(settings, {"text": text})
    return Question(one, prompts.build(settings, one.input), key, limit, settings.remote.max_output_tokens)


def body_of(settings: TaskSettings) -> dict[str, Any]:
    return OpenAICompatible(settings.remote, settings).body(question(settings).prompt, 512)


async def test_an_answer_is_what_the_server_billed(server: ChatServer, at: Make) -> None:
    answer = await ask(at(output_schema=EVERYTHING))
    call = server.bill()[-1]
    assert set(answer.output) == set(EVERYTHING)
    assert (answer.cost, answer.input_tokens, answer.output_tokens) == (
        call.cost,
        call.input_tokens,
        call.output_tokens,
    )
    assert (call.key, call.fate) == ("key-1", "answered")
    assert answer.latency_seconds > 0


@pytest.mark.parametrize("schema", [EVERYTHING, {"free": "dict"}, {"any": "list"}, {"grid": "list[list[int]]"}])
def test_our_requests_are_the_apis(at: Make, schema: dict[str, Any]) -> None:
    settings = at(output_schema=schema)
    body = body_of(settings)
    TypeAdapter(CompletionCreateParamsNonStreaming).validate_python(body, strict=True)
    format = body["response_format"]["json_schema"]
    assert format["strict"] is not ({"free", "any"} & set(schema) != set())
    assert json.dumps(body)


def test_strict_schemas_require_every_field_and_no_other(at: Make) -> None:
    settings = at(output_schema=EVERYTHING)
    body = body_of(settings)
    schema = body["response_format"]["json_schema"]["schema"]
    for one in (schema, schema["properties"]["nested"]):
        assert set(one["required"]) == set(one["properties"])
        assert one["additionalProperties"] is False
    assert {"type": "null"} in schema["properties"]["note"]["anyOf"]


def test_the_fakes_responses_are_the_apis(server: ChatServer, at: Make) -> None:
    settings = at()
    body = body_of(settings)
    with openai.OpenAI(base_url=server.base_url, api_key="none", max_retries=0) as sdk:
        completion = sdk.chat.completions.create(**body)
        assert ChatCompletion.model_validate(completion.model_dump(), strict=True) == completion
        assert json.loads(completion.choices[0].message.content or "")
        server.fail("refusal")
        assert sdk.chat.completions.create(**body).choices[0].message.refusal
        server.fail("rate_limited")
        with pytest.raises(openai.RateLimitError) as limited:
            sdk.chat.completions.create(**body)
        assert limited.value.code == "rate_limit_exceeded"
        server.fail("error_500")
        with pytest.raises(openai.InternalServerError):
            sdk.chat.completions.create(**body)


WHAT_BECOMES_OF: dict[Fault, type[RemoteError]] = {
    "hang": TimedOut,
    "hang_unpaid": TimedOut,
    "reset": TimedOut,
    "truncated": TimedOut,
    "gateway_timeout": TimedOut,
    "error_500": Overloaded,
    "error_503": Overloaded,
    "rate_limited": RateLimited,
    "quota": QuotaExhausted,
    "malformed": InvalidAnswer,
    "truncated_json": InvalidAnswer,
    "not_a_completion": InvalidAnswer,
    "not_json_inside": InvalidAnswer,
    "cut_off": CutOff,
    "refusal": ContentRefused,
    "content_filter": ContentFiltered,
}


@pytest.mark.parametrize("fault", WHAT_BECOMES_OF)
async def test_every_fault_has_its_name_and_never_costs_less_than_the_bill(
    server: ChatServer, at: Make, fault: Fault
) -> None:
    settings, before = at(), len(server.bill())
    server.fail(fault)
    with pytest.raises(WHAT_BECOMES_OF[fault]) as caught:
        await ask(settings)
    (call,) = server.bill()[before:]
    assert call.fate == fault
    assert caught.value.charged or not call.cost
    if isinstance(caught.value, Unusable):
        assert call.cost <= caught.value.cost <= reservation(settings, request().input)
    assert "broken" not in str(caught.value)


async def test_a_rate_limit_brings_its_delay(server: ChatServer, at: Make) -> None:
    server.fail("rate_limited")
    with pytest.raises(RateLimited) as caught:
        await ask(at())
    assert caught.value.retry_after == 1.0


async def test_an_answer_that_does_not_say_its_price_costs_the_most(server: ChatServer, at: Make) -> None:
    server.fail("no_usage")
    answer = await ask(at())
    assert answer.cost == reservation(at(), request().input) > server.bill()[-1].cost


async def test_nothing_was_sent_where_nobody_listens(at: Make) -> None:
    with pytest.raises(Unreachable) as caught:
        await ask(at(base_url="http://127.0.0.1:9/v1"))
    assert not caught.value.charged


@pytest.mark.parametrize(("value", "error"), [(None, "not set"), ("sk\nnewline", "cannot be a key")])
async def test_a_bad_key_is_named_and_not_shown(
    at: Make, monkeypatch: pytest.MonkeyPatch, value: str | None, error: str
) -> None:
    monkeypatch.delenv("SOME_KEY", raising=False)
    if value:
        monkeypatch.setenv("SOME_KEY", value)
    with pytest.raises(AuthFailed, match=f"SOME_KEY.*{error}") as caught:
        await ask(at(api_key_env="SOME_KEY"))
    assert "newline" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, b"{}", InvalidRequest),
        (400, b'{"error": {"code": "content_filter", "message": "card broken"}}', ContentFiltered),
        (401, b'{"error": {"code": "invalid_api_key", "message": "sk-12345 is wrong"}}', AuthFailed),
        (402, b"", QuotaExhausted),
        (404, b"[]", InvalidRequest),
        (408, b"", TimedOut),
        (409, b"", Overloaded),
        (301, b"", InvalidRequest),
        (429, b'{"error": "a text"}', RateLimited),
        (502, b"<html>", TimedOut),
        (529, b"", Overloaded),
    ],
)
def test_a_status_has_its_name(status: int, body: bytes, kind: type[RemoteError]) -> None:
    error = refusal("model 'm'", httpx.Response(status), body)
    assert type(error) is kind
    assert "sk-12345" not in str(error)
    assert "broken" not in str(error)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "-7"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "9", "retry-after-ms": "250"}, 0.25),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
    ],
)
def test_a_delay_is_read_or_left_alone(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(httpx.Headers(headers)) == seconds


def test_a_delay_may_be_a_date() -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    assert 95 < (retry_after(httpx.Headers({"retry-after": later})) or 0) <= 100


# --- through the activity: what the books say ---


class Desk:
    """The activity over a store, at the fake server."""

    def __init__(self, store: Store, settings: TaskSettings) -> None:
        self.store = store
        self.settings = settings
        self.reserved = reservation(settings, request().input)
        self.activity = AskRemote(store, lambda: NOW)

    async def charged(self, admission: str = "first") -> tuple[str, Decimal]:
        """The error's name and what it says that it cost."""
        with pytest.raises(ApplicationError) as caught:
            await self.ask(admission)
        return caught.value.type or "", Decimal(caught.value.details[0]["charged"])

    async def ask(self, admission: str = "first") -> Reply:
        digest = await self.store.settings.put(self.settings)
        call = RemoteCall(
            request=request(), admission=admission, settings_digest=digest, schema_version=1, reserved=self.reserved
        )
        reply: Reply = await ActivityEnvironment().run(self.activity.ask_remote, call)
        return reply


@pytest.mark.parametrize("fault", ["hang", "reset", "truncated", "gateway_timeout"])
async def test_a_call_in_doubt_is_paid_once_and_counted_at_the_most(
    server: ChatServer, at: Make, store: Store, fault: Fault
) -> None:
    desk, before = Desk(store, at()), len(server.bill())
    server.fail(fault)
    assert await desk.charged() == ("TimedOut", desk.reserved)
    assert await desk.charged() == ("OutcomeUnknown", desk.reserved)
    assert await desk.charged("second") == ("OutcomeUnknown", Decimal(0))
    (call,) = server.bill()[before:]
    assert 0 < call.cost <= await store.journal.spend("tickets") == desk.reserved
    assert await store.journal.unknown("tickets") == Unknown(1, desk.reserved)


@pytest.mark.parametrize("fault", sorted(UNPAID - {"hang_unpaid"}))
async def test_a_call_that_nobody_billed_is_in_no_book(
    server: ChatServer, at: Make, store: Store, fault: Fault
) -> None:
    desk = Desk(store, at())
    server.fail(fault)
    name, charged = await desk.charged()
    assert (name, charged) == (WHAT_BECOMES_OF[fault].__name__, Decimal(0))
    assert await store.journal.spend("tickets") == 0


@pytest.mark.parametrize("fault", ["refusal", "cut_off", "malformed"])
async def test_an_unusable_answer_is_paid_once_and_teaches_nothing(
    server: ChatServer, at: Make, store: Store, fault: Fault
) -> None:
    desk, before = Desk(store, at()), len(server.bill())
    server.fail(fault)
    name, charged = await desk.charged()
    assert name == WHAT_BECOMES_OF.get(fault, InvalidAnswer).__name__
    assert await desk.charged("second") == ("InvalidAnswer", Decimal(0))
    (call,) = server.bill()[before:]
    assert 0 < call.cost <= charged == await store.journal.spend("tickets")
    assert (await store.examples.snapshot("tickets", 1)).last_id == 0


@pytest.mark.parametrize("fault", ["wrong_schema", "not_json_inside"])
async def test_an_answer_that_does_not_fit_is_asked_for_once_more_and_both_calls_are_paid(
    server: ChatServer, at: Make, store: Store, fault: Fault
) -> None:
    desk, before = Desk(store, at()), len(server.bill())
    server.fail(fault)
    reply = await desk.ask()
    first, second = server.bill()[before:]
    assert reply.answer.cost == first.cost + second.cost == await store.journal.spend("tickets") <= desk.reserved
    assert reply.answer.input_tokens == first.input_tokens + second.input_tokens
    assert reply.answer.output_tokens == first.output_tokens + second.output_tokens
    assert second.key == f"{first.key}-repair"
    assert reply.example is not None
    compile_schema(desk.settings.output_schema, "tickets").validate(reply.answer.output)


@pytest.mark.parametrize("fault", ["wrong_schema", "not_json_inside"])
async def test_an_answer_that_fits_neither_time_is_refused_and_both_calls_are_paid(
    server: ChatServer, at: Make, store: Store, fault: Fault
) -> None:
    desk, before = Desk(store, at()), len(server.bill())
    server.fail(fault, calls=2)
    name, charged = await desk.charged()
    first, second = server.bill()[before:]
    assert (name, charged) == ("InvalidAnswer", first.cost + second.cost)
    assert charged == await store.journal.spend("tickets") <= desk.reserved
    assert (await store.examples.snapshot("tickets", 1)).last_id == 0


async def test_a_second_try_that_nobody_billed_leaves_the_first_one_standing(
    server: ChatServer, at: Make, store: Store
) -> None:
    desk, before = Desk(store, at()), len(server.bill())
    server.fail("wrong_schema")
    server.fail("error_503")
    name, charged = await desk.charged()
    first, _ = server.bill()[before:]
    assert (name, charged) == ("InvalidAnswer", first.cost)


async def test_a_second_try_in_doubt_is_counted_at_the_most(server: ChatServer, at: Make, store: Store) -> None:
    desk = Desk(store, at())
    server.fail("wrong_schema")
    server.fail("reset")
    assert await desk.charged() == ("TimedOut", desk.reserved)
    assert await desk.charged() == ("OutcomeUnknown", desk.reserved)
    assert await store.journal.unknown("tickets") == Unknown(1, desk.reserved)


async def test_a_gateway_that_honours_keys_is_asked_again_and_bills_once(at: Make, store: Store) -> None:
    with ChatServer(idempotent=True) as gateway:
        desk = Desk(store, at(base_url=gateway.base_url, idempotent=True))
        gateway.fail("truncated")
        assert await desk.charged() == ("TimedOut", desk.reserved)
        digest = desk.settings.digest
        call = RemoteCall(
            request=request(), admission="first", settings_digest=digest, schema_version=1, reserved=desk.reserved
        )
        reply = await ActivityEnvironment().run(desk.activity.ask_remote, call)
        bill = gateway.bill()
    assert [one.key for one in bill] == [bill[0].key] * 2
    assert sum(one.cost for one in bill) == reply.answer.cost == await store.journal.spend("tickets")


async def test_many_calls_share_the_connections(at: Make, server: ChatServer) -> None:
    settings, before = at(timeout_seconds=20), len(server.bill())
    model = remote_model(settings.remote, settings)
    answers = await asyncio.gather(*(model.ask(question(settings, f"k{n}", f"t {n}")) for n in range(60)))
    assert len(answers) == 60
    assert len({call.key for call in server.bill()[before:]}) == 60
