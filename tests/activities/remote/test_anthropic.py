"""`anthropic`: the Messages API, with Anthropic's own SDK as the judge of requests and responses."""

import json
from decimal import Decimal
from typing import Any, get_type_hints

import anthropic
import pytest
from anthropic.types import Message
from anthropic.types.message_create_params import MessageCreateParamsNonStreaming
from anthropic.types.output_config_param import OutputConfigParam
from pydantic import TypeAdapter

from activities.remote.anthropic import Anthropic
from activities.remote.dialect import Completion, Stop, Unreadable
from activities.remote.errors import AuthFailed, ContentRefused
from activities.remote.http_model import HttpModel
from apprentice import prompts
from apprentice.prices import Usage, price_of
from apprentice.settings import PromptSettings, ProviderSettings, TaskSettings
from tests.activities.remote.cases import SCHEMAS, corner_cases
from tests.activities.remote.conftest import make_settings
from tests.activities.remote.suite import KEY, Make, Suite, ask, body_of, question
from tests.fakes.provider.faults import Fault
from tests.fakes.provider.process import FakeProvider

REQUESTS: TypeAdapter[Any] = TypeAdapter(MessageCreateParamsNonStreaming)


class TestAnthropic(Suite):
    api = "anthropic"
    keyed = False
    renamed = {"content_filter": ContentRefused}  # noqa: RUF012

    @corner_cases
    def test_our_requests_are_the_apis(self, at: Make, case: str) -> None:
        body = body_of(at(output_schema=SCHEMAS[case][0], reasoning_effort="low"))
        assert _plain(REQUESTS.validate_python(body, strict=True)) == body, "what the SDK does not know, it leaves out"
        assert ("format" in body["output_config"]) is not case.startswith("free")
        assert body["output_config"]["effort"] == "low"

    def test_the_fakes_responses_are_the_apis(self, server: FakeProvider, at: Make) -> None:
        body = body_of(at())
        reasons: dict[Fault | None, str] = {
            None: "end_turn",
            "with_reasoning": "end_turn",
            "from_cache": "end_turn",
            "refusal": "refusal",
            "cut_off": "max_tokens",
        }
        with anthropic.Anthropic(base_url=server.url("anthropic"), api_key=KEY, max_retries=0) as sdk:
            for fault, reason in reasons.items():
                if fault:
                    server.fail(fault)
                message = sdk.messages.create(**body)
                Message.model_validate(message.model_dump(mode="json"), strict=True)
                assert message.stop_reason == reason
            assert json.loads(next(one.text for one in sdk.messages.create(**body).content if one.type == "text"))
            wrong: dict[Fault, type[anthropic.APIStatusError]] = {
                "rate_limited": anthropic.RateLimitError,
                "quota": anthropic.RateLimitError,
                "wrong_key": anthropic.AuthenticationError,
                "error_500": anthropic.InternalServerError,
            }
            for fault, kind in wrong.items():
                server.fail(fault)
                with pytest.raises(kind) as caught:
                    sdk.messages.create(**body)
                assert anthropic.types.ErrorResponse.model_validate(caught.value.body)
            assert sdk.models.retrieve("claude-sonnet-4-5").id == "claude-sonnet-4-5"
            with pytest.raises(anthropic.NotFoundError):
                sdk.models.retrieve("no-such-model")

    async def test_an_address_with_the_version_is_the_same_address(self, server: FakeProvider, at: Make) -> None:
        assert await ask(at(base_url=f"{server.url('anthropic')}/v1/"))


def _plain(value: Any) -> Any:
    """Pydantic reads an iterable when it is asked for; this asks."""
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    return value if isinstance(value, str | int | float | None) else [_plain(one) for one in value]


# --- what is sent ---


def dialect(output_schema: Any = None, **remote: Any) -> tuple[Anthropic, TaskSettings]:
    settings = make_settings(output_schema=output_schema, **{"provider": "anthropic"} | remote)
    return Anthropic(settings.remote, settings), settings


def test_examples_are_turns_in_plain_text_as_the_format_makes_of_an_answer() -> None:
    example = {"input": {"text": "where is it"}, "output": {"category": "shipping", "priority": 1}}
    settings = make_settings(provider="anthropic").model_copy(
        update={"prompt": PromptSettings.model_validate({"system": "Sort.", "examples": [example]})}
    )
    body = body_of(settings)
    assert body["system"] == "Sort."
    assert [turn["role"] for turn in body["messages"]] == ["user", "assistant", "user"]
    assert json.loads(body["messages"][1]["content"]) == example["output"]
    assert "tools" not in body
    REQUESTS.validate_python(body, strict=True)


def test_a_schema_that_cannot_be_enforced_is_told_once() -> None:
    _, settings = dialect({"about": "dict"})
    schema = prompts.schema_text(settings)
    assert body_of(settings)["system"].count(schema) == 1
    own = settings.model_copy(update={"prompt": PromptSettings.model_validate({"system": "Sort."})})
    assert body_of(own)["system"].startswith("Sort.\n\nAnswer with one JSON object")
    assert body_of(own)["system"].count(schema) == 1
    assert "output_config" not in body_of(own)


@pytest.mark.parametrize(("fields", "held"), [(16, True), (17, False)])
def test_a_schema_with_more_choices_than_the_api_takes_is_told_instead(fields: int, held: bool) -> None:
    _, settings = dialect({f"field_{n}?": "str" for n in range(fields)})
    assert ("output_config" in body_of(settings)) is held
    assert body_of(settings)["system"].count("JSON Schema") == 1


@pytest.mark.parametrize(
    ("effort", "sent"), [(None, None), ("minimal", "low"), ("low", "low"), ("medium", "medium"), ("high", "high")]
)
def test_effort_is_said_in_the_apis_words(effort: str | None, sent: str | None) -> None:
    _, settings = dialect(reasoning_effort=effort)
    config = body_of(settings)["output_config"]
    assert config.get("effort") == sent
    assert set(config) <= set(get_type_hints(OutputConfigParam))


def test_without_a_base_url_it_is_anthropic() -> None:
    there, _ = dialect(model="claude-sonnet-4-5")
    assert there.url == "https://api.anthropic.com/v1/messages"
    assert there.probe == "https://api.anthropic.com/v1/models/claude-sonnet-4-5"


def test_the_key_is_looked_for_where_anthropics_tools_do(monkeypatch: pytest.MonkeyPatch) -> None:
    there, _ = dialect()
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    with pytest.raises(AuthFailed, match="ANTHROPIC_API_KEY is not set"):
        there.headers("k")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-1")
    assert there.headers("k") == {"x-api-key": "sk-1", "anthropic-version": "2023-06-01"}


# --- what is read ---


def read(output_schema: Any = None, **response: Any) -> Completion:
    there, _ = dialect(output_schema)
    return there.read({"type": "message", "content": [], "stop_reason": "end_turn"} | response)


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def test_only_the_answer_is_read() -> None:
    content = [
        {"type": "thinking", "thinking": "hmm", "signature": "s"},
        {"type": "redacted_thinking", "data": "d"},
        text('{"a": '),
        text("1}"),
    ]
    assert read(content=content) == Completion('{"a": 1}', Stop.DONE, None)


@pytest.mark.parametrize("words", ['```json\n{"a": 1}\n```', '\n```\n{"a": 1}\n```\n', '{"a": 1}'])
def test_an_answer_that_nothing_held_to_the_schema_may_be_fenced(words: str) -> None:
    assert json.loads(read({"a": "dict"}, content=[text(words)]).text or "") == {"a": 1}
    assert read(content=[text(words)]).text == words


STOPS = {
    "end_turn": Stop.DONE,
    "stop_sequence": Stop.DONE,
    "tool_use": Stop.DONE,
    "pause_turn": Stop.DONE,
    "max_tokens": Stop.CUT_OFF,
    "model_context_window_exceeded": Stop.CUT_OFF,
    "refusal": Stop.REFUSED,
}


def test_every_way_to_stop_has_its_name() -> None:
    assert {reason: read(stop_reason=reason).stop for reason in STOPS} == STOPS
    assert set(STOPS) == set(anthropic.types.StopReason.__args__)  # type: ignore[attr-defined]


@pytest.mark.parametrize("content", [None, "text", [1], [{"type": "text"}], [{"type": "text", "text": 1}], [{}]])
def test_a_message_of_another_kind_is_unreadable(content: Any) -> None:
    with pytest.raises(Unreadable):
        read(content=content)


@pytest.mark.parametrize(
    "response", [None, [], "text", {}, {"type": "error", "error": {}}, {"content": [], "stop_reason": ["end_turn"]}]
)
def test_what_is_no_message_is_unreadable(response: Any) -> None:
    there, _ = dialect()
    with pytest.raises(Unreadable):
        there.read(response)


# --- what it costs: usage as Anthropic's documentation shows it, at the listed prices ---


def cost(model: str, usage: dict[str, Any], *, batch: bool = False) -> Decimal:
    """What we say that a message with this usage costs."""
    settings = make_settings(provider="anthropic", model=model, price=None)
    response = {"type": "message", "content": [text("{}")], "stop_reason": "end_turn", "usage": usage}
    model_ = HttpModel(settings.remote, Anthropic(settings.remote, settings))
    return model_.answer(response, Decimal(1000), 0.1, batch=batch).cost


def usage(plain: int, written: int, *, cached: int = 0, stored: int = 0, thinking: int = 0) -> dict[str, Any]:
    return {
        "input_tokens": plain,
        "cache_read_input_tokens": cached,
        "cache_creation_input_tokens": stored,
        "output_tokens": written,
        "output_tokens_details": {"thinking_tokens": thinking},
    }


def test_the_prices_of_these_examples_are_still_the_listed_ones() -> None:
    """https://platform.claude.com/docs/en/about-claude/pricing: input, cache hit, cache write for 5 minutes, output."""
    listed = {
        model: (p.input_per_million, p.cached_input_per_million, p.cache_write_per_million, p.output_per_million)
        for model in ("claude-opus-4-5", "claude-sonnet-4-5", "claude-sonnet-5-5")
        if (p := price_of(ProviderSettings(provider="anthropic", model=model))) is not None
    }
    assert listed == {
        "claude-opus-4-5": tuple(map(Decimal, ("5", "0.5", "6.25", "25"))),
        "claude-sonnet-4-5": tuple(map(Decimal, ("3", "0.3", "3.75", "15"))),
        "claude-sonnet-5-5": tuple(map(Decimal, ("2", "0.1", "2.5", "10"))),
    }


def test_what_is_written_to_the_cache_costs_more_and_what_is_read_from_it_less() -> None:
    """The two calls of https://platform.claude.com/docs/en/build-with-claude/prompt-caching: a book of 188,086 tokens
    is written to the cache, then read from it. `input_tokens` are the 21 that have nothing to do with the cache."""
    # 21 x $5 + 188,086 x $6.25 + 393 x $25, for a million: $0.000105 + $1.1755375 + $0.009825
    assert cost("claude-opus-4-5", usage(21, 393, stored=188_086)) == Decimal("1.1854675")
    # 21 x $5 + 188,086 x $0.50 + 393 x $25, for a million: $0.000105 + $0.094043 + $0.009825
    assert cost("claude-opus-4-5", usage(21, 393, cached=188_086)) == Decimal("0.103973")


def test_thinking_costs_as_output_and_is_counted_once() -> None:
    """`output_tokens` is the billed total; how much of it was thinking changes nothing."""
    # 100 x $2 + 1,500 x $10, for a million: $0.0002 + $0.015
    assert cost("claude-sonnet-5-5", usage(100, 1500, thinking=1200)) == Decimal("0.0152")
    assert cost("claude-sonnet-5-5", usage(100, 1500)) == Decimal("0.0152")


def test_a_long_call_costs_more_for_all_its_tokens_and_the_cache_counts_for_its_length() -> None:
    """Sonnet 4.5 above 200,000 input tokens, those of the cache included: $6, $0.60, $7.50, $22.50."""
    # 1,000 x $3 + 199,000 x $0.30 + 500 x $15, for a million: $0.003 + $0.0597 + $0.0075
    assert cost("claude-sonnet-4-5", usage(1000, 500, cached=199_000)) == Decimal("0.0702")
    # 1,001 x $6 + 199,000 x $0.60 + 500 x $22.50, for a million: $0.006006 + $0.1194 + $0.01125
    assert cost("claude-sonnet-4-5", usage(1001, 500, cached=199_000)) == Decimal("0.136656")


def test_a_batch_costs_half() -> None:
    """https://platform.claude.com/docs/en/build-with-claude/batch-processing: half of everything, the cache's too."""
    # (10,000 x $3 + 1,000 x $15) / 2, for a million: ($0.03 + $0.015) / 2
    assert cost("claude-sonnet-4-5", usage(10_000, 1000), batch=True) == Decimal("0.0225")
    # (2,000 x $0.30 + 1,000 x $15) / 2, for a million: ($0.0006 + $0.015) / 2
    assert cost("claude-sonnet-4-5", usage(0, 1000, cached=2000), batch=True) == Decimal("0.0078")


@pytest.mark.parametrize(
    ("said", "counted"),
    [
        (None, None),
        ("some", None),
        ({"input_tokens": -1, "output_tokens": 1}, None),
        ({"input_tokens": 5}, None),
        (
            {"input_tokens": 5, "output_tokens": 1, "cache_read_input_tokens": None, "output_tokens_details": None},
            Usage(5, 1),
        ),
        (usage(5, 2, cached=3, stored=4, thinking=9), Usage(12, 2, cached=3, cache_writes=4, reasoning=2)),
    ],
)
def test_tokens_are_read_or_said_to_be_unknown(said: Any, counted: Usage | None) -> None:
    assert read(usage=said).usage == counted


def test_the_reservation_of_a_call_covers_its_dearest_bill() -> None:
    """All of the input written to the cache, and all the output there may be."""
    settings = make_settings(provider="anthropic", model="claude-opus-4-5", price=None)
    asked = question(settings)
    read_at_most = len(json.dumps(body_of(settings)).encode())
    assert cost("claude-opus-4-5", usage(0, 512, stored=read_at_most)) < asked.limit
