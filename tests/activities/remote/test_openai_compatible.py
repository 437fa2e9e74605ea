"""`openai_compatible`: Chat Completions, with OpenAI's own SDK as the judge of requests and responses."""

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletion
from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming
from pydantic import TypeAdapter
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.remote.ask import AskRemote
from activities.remote.errors import AuthFailed, InvalidAnswer, InvalidRequest
from activities.remote.registry import remote_model
from activities.store import Store, Unknown
from apprentice.messages import RemoteCall, Reply, TaskRequest
from apprentice.prices import reservation
from apprentice.schema import compile_schema
from apprentice.settings import TaskSettings
from tests.activities.remote.cases import EVERYTHING, SCHEMAS, WHAT_BECOMES_OF, corner_cases
from tests.activities.remote.conftest import make_settings
from tests.activities.remote.suite import KEY, TEXT, Make, Suite, ask, body_of, question
from tests.fakes.provider.faults import UNPAID, Fault
from tests.fakes.provider.process import FakeProvider

NOW = datetime(2026, 3, 1, tzinfo=UTC)
REQUESTS: TypeAdapter[Any] = TypeAdapter(CompletionCreateParamsNonStreaming)


class TestOpenAICompatible(Suite):
    api = "openai_compatible"

    @corner_cases
    def test_our_requests_are_the_apis(self, at: Make, case: str) -> None:
        body = body_of(at(output_schema=SCHEMAS[case][0], temperature=0.5, reasoning_effort="low"))
        known = REQUESTS.validate_python(body, strict=True)
        # An iterable is checked as it is read; what the SDK does not know, it leaves out.
        assert known | {"messages": list(known["messages"])} == body
        assert body["response_format"]["json_schema"]["strict"] is not case.startswith("free")

    def test_strict_schemas_require_every_field_and_no_other(self, at: Make) -> None:
        schema = body_of(at(output_schema=EVERYTHING))["response_format"]["json_schema"]["schema"]
        for one in (schema, schema["properties"]["nested"]):
            assert set(one["required"]) == set(one["properties"])
            assert one["additionalProperties"] is False
        assert {"type": "null"} in schema["properties"]["note"]["anyOf"]

    def test_the_fakes_responses_are_the_apis(self, server: FakeProvider, at: Make) -> None:
        body = body_of(at())
        with openai.OpenAI(base_url=server.url("openai_compatible"), api_key=KEY, max_retries=0) as sdk:
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
            assert sdk.models.list().data

    @pytest.mark.parametrize(("value", "error"), [(None, "not set"), ("sk\nnewline", "cannot be a key")])
    async def test_a_bad_key_is_named_and_not_shown(
        self, at: Make, monkeypatch: pytest.MonkeyPatch, value: str | None, error: str
    ) -> None:
        monkeypatch.delenv("SOME_KEY", raising=False)
        if value:
            monkeypatch.setenv("SOME_KEY", value)
        with pytest.raises(AuthFailed, match=f"SOME_KEY.*{error}") as caught:
            await ask(at(api_key_env="SOME_KEY"))
        assert "newline" not in str(caught.value)

    async def test_a_server_that_wants_a_key_and_gets_none_is_reported_with_the_setting(self, at: Make) -> None:
        settings = at(api_key_env=None)
        for call in (ask(settings), remote_model(settings.remote, settings).check()):
            with pytest.raises(AuthFailed, match="api_key_env"):
                await call

    async def test_many_calls_share_the_connections(self, at: Make, server: FakeProvider) -> None:
        settings, before = at(timeout_seconds=20), len(server.bill())
        model = remote_model(settings.remote, settings)
        answers = await asyncio.gather(*(model.ask(question(settings, f"k{n}", f"t {n}")) for n in range(60)))
        assert len(answers) == 60
        assert len({call.key for call in server.bill()[before:]}) == 60


def test_it_has_no_address_of_its_own() -> None:
    settings = make_settings(provider="openai_compatible")
    with pytest.raises(InvalidRequest, match="needs `base_url`"):
        remote_model(settings.remote, settings)


@pytest.fixture(scope="module")
def server() -> Iterator[FakeProvider]:
    with FakeProvider() as running:
        yield running


@pytest.fixture
def at(server: FakeProvider, settings: Make) -> Make:
    """Settings of a task at the fake server, with half a second for a call."""
    server.heal()

    def make(**changes: Any) -> TaskSettings:
        values = {"provider": "openai_compatible", "base_url": server.url("openai_compatible"), "timeout_seconds": 0.5}
        return settings(**values | changes)

    return make


def request(text: str = TEXT) -> TaskRequest:
    return TaskRequest(request_id="r-1", task="tickets", input={"text": text})


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
    server: FakeProvider, at: Make, store: Store, fault: Fault
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
    server: FakeProvider, at: Make, store: Store, fault: Fault
) -> None:
    desk = Desk(store, at())
    server.fail(fault)
    name, charged = await desk.charged()
    assert (name, charged) == (WHAT_BECOMES_OF[fault].__name__, Decimal(0))
    assert await store.journal.spend("tickets") == 0


@pytest.mark.parametrize("fault", ["refusal", "cut_off", "malformed"])
async def test_an_unusable_answer_is_paid_once_and_teaches_nothing(
    server: FakeProvider, at: Make, store: Store, fault: Fault
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
    server: FakeProvider, at: Make, store: Store, fault: Fault
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
    server: FakeProvider, at: Make, store: Store, fault: Fault
) -> None:
    desk, before = Desk(store, at()), len(server.bill())
    server.fail(fault, calls=2)
    name, charged = await desk.charged()
    first, second = server.bill()[before:]
    assert (name, charged) == ("InvalidAnswer", first.cost + second.cost)
    assert charged == await store.journal.spend("tickets") <= desk.reserved
    assert (await store.examples.snapshot("tickets", 1)).last_id == 0


async def test_a_second_try_that_nobody_billed_leaves_the_first_one_standing(
    server: FakeProvider, at: Make, store: Store
) -> None:
    desk, before = Desk(store, at()), len(server.bill())
    server.fail("wrong_schema")
    server.fail("error_503")
    name, charged = await desk.charged()
    first, _ = server.bill()[before:]
    assert (name, charged) == ("InvalidAnswer", first.cost)


async def test_a_second_try_in_doubt_is_counted_at_the_most(server: FakeProvider, at: Make, store: Store) -> None:
    desk = Desk(store, at())
    server.fail("wrong_schema")
    server.fail("reset")
    assert await desk.charged() == ("TimedOut", desk.reserved)
    assert await desk.charged() == ("OutcomeUnknown", desk.reserved)
    assert await store.journal.unknown("tickets") == Unknown(1, desk.reserved)


async def test_a_gateway_that_honours_keys_is_asked_again_and_bills_once(at: Make, store: Store) -> None:
    with FakeProvider(idempotent=True) as gateway:
        desk = Desk(store, at(base_url=gateway.url("openai_compatible"), idempotent=True))
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
