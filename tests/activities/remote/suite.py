"""What every provider's adapter has to do, whatever its API: a test class for each inherits this and names its own.

    class TestOpenAI(Suite):
        api = "openai"

Beside it, the provider's own SDK is the judge: that our requests are its, and that the fake's responses are.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, ClassVar

import httpx
import pytest
from temporalio.testing import ActivityEnvironment

from activities.remote.ask import AskRemote
from activities.remote.dialect import Unreadable
from activities.remote.errors import AuthFailed, InvalidRequest, RateLimited, RemoteError, Unreachable, Unusable
from activities.remote.http_model import HttpModel
from activities.remote.model import Question
from activities.remote.registry import DIALECTS, remote_model
from activities.store import Store
from apprentice import prompts
from apprentice.messages import Answer, RemoteCall, TaskRequest
from apprentice.prices import reservation
from apprentice.schema import compile_schema
from apprentice.settings import TaskSettings
from tests.activities.remote.cases import EVERYTHING, SCHEMAS, WHAT_BECOMES_OF, corner_cases
from tests.activities.remote.conftest import PRICE, make_settings
from tests.fakes.provider.faults import UNPAID, Fault
from tests.fakes.provider.process import FakeProvider

Make = Callable[..., TaskSettings]
NOW = datetime(2026, 3, 1, tzinfo=UTC)
TEXT = "card broken, ünïcode"
KEY = "good-key-of-a-test"
VARIABLE = "KEY_OF_A_TEST"


def question(settings: TaskSettings, key: str = "key-1", text: str = TEXT) -> Question:
    one, limit = (
        TaskRequest(request_id="r-1", task="tickets", input={"text": text}),
        reservation(settings, {"text": text}),
    )
    return Question(one, prompts.build(settings, one.input), key, limit, settings.remote.max_output_tokens)


def body_of(settings: TaskSettings) -> dict[str, Any]:
    """What is sent for the question."""
    return DIALECTS[settings.remote.provider](settings.remote, settings).body(question(settings).prompt, 512)


async def ask(settings: TaskSettings, key: str = "key-1") -> Answer:
    return await remote_model(settings.remote, settings).ask(question(settings, key))


class Suite:
    """Set `api`, its name in `provider:`; `remote` is what else the adapter needs in its settings."""

    api: ClassVar[str]
    remote: ClassVar[dict[str, Any]] = {}
    # Faults that this API says in another way.
    renamed: ClassVar[dict[Fault, type[RemoteError]]] = {}
    # Whether the API has a header for our key.
    keyed: ClassVar[bool] = True

    @pytest.fixture(scope="class")
    @classmethod
    def server(cls) -> Iterator[FakeProvider]:
        with FakeProvider(api_key=KEY) as running:
            yield running

    @pytest.fixture
    def at(self, server: FakeProvider, monkeypatch: pytest.MonkeyPatch) -> Make:
        """Settings of a task at the fake server, with half a second for a call."""
        server.heal()
        server.answer(None)
        monkeypatch.setenv(VARIABLE, KEY)

        def make(**changes: Any) -> TaskSettings:
            values: dict[str, Any] = {"provider": self.api, "base_url": server.url(self.api), "timeout_seconds": 0.5}
            return make_settings(**values | {"api_key_env": VARIABLE} | self.remote | changes)

        return make

    async def test_an_answer_is_what_the_server_billed(self, server: FakeProvider, at: Make) -> None:
        settings = at(output_schema=EVERYTHING)
        answer, call = await ask(settings), server.bill()[-1]
        assert compile_schema(EVERYTHING).validate(answer.output) == answer.output
        billed = call.cost, call.input_tokens, call.output_tokens
        assert (answer.cost, answer.input_tokens, answer.output_tokens) == billed
        assert (call.api, call.model, call.fate) == (self.api, settings.remote.model, "answered")
        assert call.key == ("key-1" if self.keyed else None)
        assert answer.latency_seconds > 0

    async def test_the_books_say_what_the_server_billed(self, server: FakeProvider, at: Make, store: Store) -> None:
        settings = at()
        asked, digest = question(settings), await store.settings.put(settings)
        call = RemoteCall(
            request=asked.request, admission="1", settings_digest=digest, schema_version=1, reserved=asked.limit
        )
        reply = await ActivityEnvironment().run(AskRemote(store, lambda: NOW).ask_remote, call)
        assert reply.answer.cost == await store.journal.spend("tickets") == server.bill()[-1].cost > 0

    @corner_cases
    async def test_answers_of_every_schema_come_through_whole(self, server: FakeProvider, at: Make, case: str) -> None:
        schema, output = SCHEMAS[case]
        settings = at(output_schema=schema)
        compile_schema(schema).validate((await ask(settings)).output)
        server.answer(output)
        assert (await ask(settings)).output == compile_schema(schema).validate(output) == output

    @pytest.mark.parametrize("fault", ["from_cache", "with_reasoning"])
    async def test_cached_input_and_reasoning_cost_what_the_server_bills(
        self, server: FakeProvider, at: Make, fault: Fault
    ) -> None:
        settings = at(price={**PRICE, "cached_input_per_million": "0.3"})
        plain = await ask(settings)
        server.fail(fault)
        answer, call = await ask(settings), server.bill()[-1]
        assert (answer.cost, answer.input_tokens, answer.output_tokens) == (
            call.cost,
            call.input_tokens,
            call.output_tokens,
        )
        assert (answer.cost < plain.cost) is (fault == "from_cache")
        assert (answer.output_tokens > plain.output_tokens) is (fault == "with_reasoning")

    @pytest.mark.parametrize("fault", WHAT_BECOMES_OF)
    async def test_every_fault_has_its_name_and_never_costs_less_than_the_bill(
        self, server: FakeProvider, at: Make, fault: Fault
    ) -> None:
        settings, before = at(), len(server.bill())
        server.fail(fault)
        with pytest.raises(RemoteError) as caught:
            await ask(settings)
        assert type(caught.value) is self.renamed.get(fault, WHAT_BECOMES_OF[fault])
        (call,) = server.bill()[before:]
        assert call.fate == fault
        assert caught.value.charged or not call.cost
        if isinstance(caught.value, Unusable):
            assert call.cost <= caught.value.cost <= reservation(settings, {"text": TEXT})
        assert "broken" not in str(caught.value)
        assert KEY not in str(caught.value)

    @pytest.mark.parametrize("fault", sorted(UNPAID - {"hang_unpaid"}))
    async def test_what_nobody_billed_says_so(self, server: FakeProvider, at: Make, fault: Fault) -> None:
        server.fail(fault)
        with pytest.raises(RemoteError) as caught:
            await ask(at())
        assert not caught.value.charged

    @pytest.mark.parametrize("fault", ["refusal", "content_filter", "cut_off"])
    async def test_an_answer_that_is_none_costs_what_the_server_billed(
        self, server: FakeProvider, at: Make, fault: Fault
    ) -> None:
        server.fail(fault)
        with pytest.raises(Unusable) as caught:
            await ask(at())
        assert caught.value.cost == server.bill()[-1].cost

    async def test_a_rate_limit_brings_its_delay(self, server: FakeProvider, at: Make) -> None:
        server.fail("rate_limited")
        with pytest.raises(RateLimited) as caught:
            await ask(at())
        assert caught.value.retry_after == 1.0

    async def test_an_answer_that_does_not_say_its_price_costs_the_most(self, server: FakeProvider, at: Make) -> None:
        server.fail("no_usage")
        answer = await ask(at())
        assert answer.cost == reservation(at(), {"text": TEXT}) > server.bill()[-1].cost > 0

    async def test_an_answer_outside_the_schema_is_read_and_left_to_the_caller(
        self, server: FakeProvider, at: Make
    ) -> None:
        server.fail("invalid_once")
        first, second = await ask(at()), await ask(at())
        assert first.output["priority"] == {"not": "what was asked for"}
        assert isinstance(second.output["priority"], int)

    async def test_a_response_with_anything_out_of_place_is_read_or_unreadable(self, at: Make) -> None:
        settings = at()
        model, dialect = _model(settings), DIALECTS[self.api](settings.remote, settings)
        async with httpx.AsyncClient(headers=await model.headers("key-1")) as client:
            good = (await client.post(dialect.url, json=body_of(settings))).json()
        dialect.read(good)
        for bad in _distorted(good):
            with suppress(Unreadable):
                dialect.read(bad)

    async def test_nothing_was_sent_where_nobody_listens(self, at: Make) -> None:
        with pytest.raises(Unreachable) as caught:
            await ask(at(base_url="http://127.0.0.1:9"))
        assert not caught.value.charged

    async def test_a_wrong_key_is_refused_and_not_shown(self, at: Make, monkeypatch: pytest.MonkeyPatch) -> None:
        settings = at()
        monkeypatch.setenv(VARIABLE, "wrong-key-of-a-test")
        for call in (ask(settings), _model(settings).check()):
            with pytest.raises(AuthFailed) as caught:
                await call
            assert "wrong-key" not in str(caught.value)
            assert not caught.value.charged

    async def test_a_probe_costs_nothing(self, server: FakeProvider, at: Make) -> None:
        before = server.bill()
        await _model(at()).check()
        assert server.bill() == before

    async def test_a_model_that_is_not_there_is_named_with_the_setting_to_change(self, at: Make) -> None:
        settings = at(model="no-such-model")
        with pytest.raises(InvalidRequest, match=r"'no-such-model'.*check `model`") as caught:
            await ask(settings)
        assert not caught.value.charged

    def test_a_request_can_be_written_down(self, at: Make) -> None:
        """A batch sends it in a file, and the same question always as the same bytes."""
        first, second = (json.dumps(body_of(at(output_schema=EVERYTHING))) for _ in range(2))
        assert first == second

    def test_what_the_user_chose_is_sent_and_nothing_else(self, at: Make) -> None:
        values = list(_values(body_of(at(temperature=0.25))))
        assert 0.25 in values
        assert 512 in values
        assert None not in values
        assert "temperature" not in json.dumps(body_of(at()))


def _model(settings: TaskSettings) -> HttpModel:
    model = remote_model(settings.remote, settings)
    assert isinstance(model, HttpModel)
    return model


def _distorted(value: Any) -> Iterator[Any]:
    """The value with each part of it, and itself, replaced by others."""
    yield from (None, True, 3, "text", [], [[]], {}, {"a": []})
    for key, part in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        for other in _distorted(part):
            copy = value.copy()
            copy[key] = other
            yield copy


def _values(value: Any) -> Iterator[Any]:
    if isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _values(one)
    else:
        yield value
