"""`openai`: the Responses API, with OpenAI's own SDK as the judge of requests and responses."""

import json
from decimal import Decimal
from typing import Any

import openai
import pytest
from openai.types.responses import Response
from openai.types.responses.response_create_params import ResponseCreateParamsNonStreaming
from pydantic import TypeAdapter

from activities.remote.dialect import Completion, Stop, Unreadable
from activities.remote.errors import AuthFailed, InvalidRequest, Overloaded, RateLimited
from activities.remote.http_model import HttpModel
from activities.remote.openai import OpenAI
from apprentice.prices import Usage, price_of
from apprentice.settings import PromptSettings, ProviderSettings
from tests.activities.remote.cases import SCHEMAS, corner_cases
from tests.activities.remote.conftest import make_settings
from tests.activities.remote.suite import KEY, Make, Suite, body_of
from tests.fakes.provider.process import FakeProvider

REQUESTS: TypeAdapter[Any] = TypeAdapter(ResponseCreateParamsNonStreaming)


class TestOpenAI(Suite):
    api = "openai"

    @corner_cases
    def test_our_requests_are_the_apis(self, at: Make, case: str) -> None:
        body = body_of(at(output_schema=SCHEMAS[case][0], temperature=0.5, reasoning_effort="low"))
        assert REQUESTS.validate_python(body, strict=True) == body, "what the SDK does not know, it leaves out"
        assert body["text"]["format"]["strict"] is not case.startswith("free")
        assert body["store"] is False
        assert body["reasoning"] == {"effort": "low"}

    def test_the_fakes_responses_are_the_apis(self, server: FakeProvider, at: Make) -> None:
        body = body_of(at())
        with openai.OpenAI(base_url=server.url("openai"), api_key=KEY, max_retries=0) as sdk:
            for fault, status in (
                (None, "completed"),
                ("with_reasoning", "completed"),
                ("refusal", "completed"),
                ("cut_off", "incomplete"),
                ("content_filter", "incomplete"),
            ):
                if fault:
                    server.fail(fault)  # type: ignore[arg-type]
                response = sdk.responses.create(**body)
                Response.model_validate(response.model_dump(mode="json", by_alias=True))
                assert response.status == status
                assert bool(response.output_text) is (fault not in ("refusal", "content_filter"))
            assert json.loads(sdk.responses.create(**body).output_text)
            server.fail("rate_limited")
            with pytest.raises(openai.RateLimitError) as limited:
                sdk.responses.create(**body)
            assert limited.value.code == "rate_limit_exceeded"
            server.fail("wrong_key")
            with pytest.raises(openai.AuthenticationError):
                sdk.responses.create(**body)
            assert sdk.models.retrieve("gpt-5.2").id == "gpt-5.2"
            with pytest.raises(openai.NotFoundError):
                sdk.models.retrieve("no-such-model")

    async def test_the_probe_asks_for_the_model_itself(self, at: Make) -> None:
        for name in ("gpt-5.2", "ft:gpt-4o-mini-2024-07-18:us::abc"):
            settings = at(model=name)
            await HttpModel(settings.remote, OpenAI(settings.remote, settings)).check()
        settings = at(model="no-such-model")
        with pytest.raises(InvalidRequest, match="check `model`"):
            await HttpModel(settings.remote, OpenAI(settings.remote, settings)).check()


# --- what is sent ---


def test_a_prompt_is_instructions_and_turns() -> None:
    example = {"input": {"text": "where is it"}, "output": {"category": "shipping", "priority": 1}}
    settings = make_settings(provider="openai").model_copy(
        update={"prompt": PromptSettings.model_validate({"system": "Sort.", "examples": [example]})}
    )
    body = body_of(settings)
    assert body["instructions"] == "Sort."
    assert [turn["role"] for turn in body["input"]] == ["user", "assistant", "user"]
    assert json.loads(body["input"][1]["content"]) == example["output"]
    REQUESTS.validate_python(body, strict=True)


def test_without_a_base_url_it_is_openai() -> None:
    settings = make_settings(provider="openai", model="gpt-5.2")
    dialect = OpenAI(settings.remote, settings)
    assert dialect.url == "https://api.openai.com/v1/responses"
    assert dialect.probe == "https://api.openai.com/v1/models/gpt-5.2"


def test_the_key_is_looked_for_where_openais_tools_do(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = make_settings(provider="openai")
    dialect = OpenAI(settings.remote, settings)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(AuthFailed, match="OPENAI_API_KEY is not set"):
        dialect.headers("k")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1")
    assert dialect.headers("k") == {"Authorization": "Bearer sk-1", "X-Client-Request-Id": "k"}


# --- what is read ---


def read(**response: Any) -> Completion:
    settings = make_settings(provider="openai")
    return OpenAI(settings.remote, settings).read({"status": "completed", "output": [], "error": None} | response)


def message(*content: dict[str, Any], **about: Any) -> dict[str, Any]:
    return {"type": "message", "role": "assistant", "content": list(content)} | about


def text(words: str) -> dict[str, Any]:
    return {"type": "output_text", "text": words, "annotations": []}


def test_only_the_answer_is_read() -> None:
    output = [
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hmm"}]},
        message(text("On it."), phase="commentary"),
        message(text('{"a": '), text("1}"), phase="final_answer"),
    ]
    assert read(output=output) == Completion('{"a": 1}', Stop.DONE, None)


@pytest.mark.parametrize(
    ("response", "stop"),
    [
        ({"output": [message({"type": "refusal", "refusal": "No."})]}, Stop.REFUSED),
        ({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}, Stop.CUT_OFF),
        ({"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}, Stop.FILTERED),
        ({"status": "incomplete", "incomplete_details": {"reason": "a new one"}}, Stop.CUT_OFF),
        ({"status": "incomplete"}, Stop.CUT_OFF),
        ({"status": "failed", "error": {"code": "invalid_prompt", "message": "m"}}, Stop.FILTERED),
    ],
)
def test_every_way_to_stop_has_its_name(response: dict[str, Any], stop: Stop) -> None:
    assert read(**response).stop is stop


@pytest.mark.parametrize(
    ("code", "usage", "kind"),
    [
        ("server_error", None, Overloaded),
        ("rate_limit_exceeded", None, RateLimited),
        ("something_new", None, Unreadable),
        ("server_error", {"input_tokens": 9, "output_tokens": 0}, Unreadable),
        (None, None, Unreadable),
    ],
)
def test_a_failed_response_is_tried_again_only_if_it_was_not_billed(code: str, usage: Any, kind: Any) -> None:
    with pytest.raises(kind) as caught:
        read(status="failed", error={"code": code, "message": "secret"}, usage=usage)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "response",
    [{"output": None}, {"output": [1]}, {"output": [{"type": "message"}]}, {"status": "queued"}, {"error": "a text"}],
)
def test_a_response_of_another_kind_is_unreadable(response: dict[str, Any]) -> None:
    with pytest.raises(Unreadable):
        read(**response)


@pytest.mark.parametrize("response", [None, [], "text", {}, {"status": "completed"}])
def test_what_is_no_response_is_unreadable(response: Any) -> None:
    settings = make_settings(provider="openai")
    with pytest.raises(Unreadable):
        OpenAI(settings.remote, settings).read(response)


# --- what it costs: usage as OpenAI's documentation shows it, at the listed prices ---


def cost(model: str, usage: dict[str, Any], *, batch: bool = False) -> Decimal:
    """What we say that a response with this usage costs."""
    settings = make_settings(provider="openai", model=model, price=None)
    response = {"status": "completed", "output": [message(text("{}"))], "usage": usage}
    return (
        HttpModel(settings.remote, OpenAI(settings.remote, settings))
        .answer(response, Decimal(1), 0.1, batch=batch)
        .cost
    )


def usage(read: int, written: int, *, cached: int = 0, cache_writes: int = 0, reasoning: int = 0) -> dict[str, Any]:
    return {
        "input_tokens": read,
        "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": cache_writes},
        "output_tokens": written,
        "output_tokens_details": {"reasoning_tokens": reasoning},
        "total_tokens": read + written,
    }


def test_the_prices_of_these_examples_are_still_the_listed_ones() -> None:
    listed = {
        model: (price.input_per_million, price.cached_input_per_million, price.output_per_million)
        for model in ("gpt-4o", "gpt-4o-mini", "o4-mini")
        if (price := price_of(ProviderSettings(provider="openai", model=model))) is not None
    }
    assert listed == {
        "gpt-4o": (Decimal("2.5"), Decimal("1.25"), Decimal("10")),
        "gpt-4o-mini": (Decimal("0.15"), Decimal("0.075"), Decimal("0.6")),
        "o4-mini": (Decimal("1.1"), Decimal("0.275"), Decimal("4.4")),
    }


def test_cached_input_costs_what_openai_says() -> None:
    """The usage of https://platform.openai.com/docs/guides/prompt-caching: 1,920 of 2,006 tokens were cached."""
    # 86 x $2.50 + 1,920 x $1.25 + 300 x $10, for a million: $0.000215 + $0.0024 + $0.003
    assert cost("gpt-4o", usage(2006, 300, cached=1920)) == Decimal("0.005615")


def test_reasoning_costs_as_output_and_is_counted_once() -> None:
    """The usage of https://platform.openai.com/docs/guides/reasoning: 1,024 of 1,186 output tokens are reasoning."""
    # 75 x $1.10 + 1,186 x $4.40, for a million: $0.0000825 + $0.0052184
    assert cost("o4-mini", usage(75, 1186, reasoning=1024)) == Decimal("0.0053009")


def test_a_batch_costs_half() -> None:
    """https://platform.openai.com/docs/guides/batch: 50% off. The usage is that of the example in the reference."""
    # (36 x $0.15 + 87 x $0.60) / 2, for a million: ($0.0000054 + $0.0000522) / 2
    assert cost("gpt-4o-mini", usage(36, 87), batch=True) == Decimal("0.0000288")
    # the cached half of an input as well: (1,000 x $2.50 + 1,000 x $1.25 + 100 x $10) / 2, for a million
    assert cost("gpt-4o", usage(2000, 100, cached=1000), batch=True) == Decimal("0.002375")


def test_a_long_call_costs_more_for_all_its_tokens() -> None:
    """gpt-5.4 above 272,000 input tokens: $5 and $22.50, and $0.50 for cached input, where it is $2.50, $15, $0.25."""
    # 72,000 x $2.50 + 200,000 x $0.25 + 1,000 x $15, for a million
    assert cost("gpt-5.4", usage(272_000, 1000, cached=200_000)) == Decimal("0.245")
    # 72,001 x $5 + 200,000 x $0.50 + 1,000 x $22.50, for a million
    assert cost("gpt-5.4", usage(272_001, 1000, cached=200_000)) == Decimal("0.482505")


def test_what_was_written_to_the_cache_costs_more_where_openai_says_so() -> None:
    """gpt-5.6-terra: $2, $0.20 for cached input, $2.50 for what was written to the cache, $12."""
    # 1,000 x $2 + 4,000 x $0.20 + 5,000 x $2.50 + 100 x $12, for a million
    assert cost("gpt-5.6-terra", usage(10_000, 100, cached=4000, cache_writes=5000)) == Decimal("0.0165")


@pytest.mark.parametrize(
    ("said", "counted"),
    [
        (None, None),
        ("some", None),
        ({"input_tokens": -1, "output_tokens": 1}, None),
        ({"input_tokens": True, "output_tokens": 1}, None),
        ({"input_tokens": 5, "output_tokens": 1}, Usage(5, 1)),
        # more cached than read, as has been seen
        (usage(5136, 201, cached=10192, cache_writes=3, reasoning=300), Usage(5136, 201, cached=5136, reasoning=201)),
    ],
)
def test_tokens_are_read_or_said_to_be_unknown(said: Any, counted: Usage | None) -> None:
    assert read(usage=said).usage == counted
