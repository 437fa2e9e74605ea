"""`google`: the Gemini API, with Google's own SDK as the judge of requests and responses."""

import json
from decimal import Decimal
from typing import Any

import httpx2
import pytest
from google import genai
from google.genai import errors, types

from activities.remote.dialect import Completion, Stop, Unreadable
from activities.remote.errors import AuthFailed, ContentFiltered
from activities.remote.google import Google
from activities.remote.http_model import HttpModel
from apprentice import prompts
from apprentice.prices import Usage, price_of
from apprentice.settings import PromptSettings, ProviderSettings, TaskSettings
from tests.activities.remote.cases import SCHEMAS, corner_cases
from tests.activities.remote.conftest import make_settings
from tests.activities.remote.suite import KEY, Make, Suite, body_of
from tests.fakes.provider.faults import Fault
from tests.fakes.provider.process import FakeProvider


class TestGoogle(Suite):
    api = "google"
    keyed = False
    renamed = {"refusal": ContentFiltered}  # noqa: RUF012

    @corner_cases
    def test_our_requests_are_the_apis(self, at: Make, case: str) -> None:
        body = body_of(at(model="gemini-3-pro", output_schema=SCHEMAS[case][0], reasoning_effort="low"))
        types.GenerationConfig.model_validate(body["generationConfig"])
        for content in [body["systemInstruction"], *body["contents"]]:
            types.Content.model_validate(content)
        theirs = sent_by_the_sdk(body)
        # It does not spell out this one; Google takes both spellings.
        assert theirs["generationConfig"].pop("thinkingConfig") == {"thinking_level": "LOW"}
        assert body["generationConfig"].pop("thinkingConfig") == {"thinkingLevel": "LOW"}
        assert theirs == body

    def test_the_fakes_responses_are_the_apis(self, server: FakeProvider, at: Make) -> None:
        body = body_of(at())
        stops: dict[Fault | None, str | None] = {
            None: "STOP",
            "with_reasoning": "STOP",
            "from_cache": "STOP",
            "refusal": "SAFETY",
            "cut_off": "MAX_TOKENS",
            "content_filter": None,
        }
        with sdk(types.HttpOptions(base_url=f"{server.root}/google", api_version="v1beta")) as client:
            for fault, stop in stops.items():
                if fault:
                    server.fail(fault)
                response = ask_the_sdk(client, body)
                assert (response.candidates[0].finish_reason if response.candidates else None) == stop
                assert bool(response.prompt_feedback) is (fault == "content_filter")
                types.GenerateContentResponse.model_validate(response.model_dump(mode="json"))
            assert json.loads(ask_the_sdk(client, body).text or "")
            for fault, kind, status in (
                ("rate_limited", errors.ClientError, "RESOURCE_EXHAUSTED"),
                ("wrong_key", errors.ClientError, "UNAUTHENTICATED"),
                ("error_503", errors.ServerError, "UNAVAILABLE"),
            ):
                server.fail(fault)  # type: ignore[arg-type]
                with pytest.raises(kind) as caught:
                    ask_the_sdk(client, body)
                assert caught.value.status == status
            assert client.models.get(model="gemini-2.5-flash").name == "models/gemini-2.5-flash"
            with pytest.raises(errors.ClientError):
                client.models.get(model="no-such-model")


def sdk(options: types.HttpOptions) -> genai.Client:
    options.retry_options = types.HttpRetryOptions(attempts=1)
    return genai.Client(api_key=KEY, http_options=options)


def ask_the_sdk(client: genai.Client, body: dict[str, Any]) -> types.GenerateContentResponse:
    config = types.GenerateContentConfig.model_validate(body["generationConfig"])
    config.system_instruction = types.Content.model_validate(body["systemInstruction"])
    contents: Any = [types.Content.model_validate(content) for content in body["contents"]]
    return client.models.generate_content(model="teacher", contents=contents, config=config)


def sent_by_the_sdk(body: dict[str, Any]) -> Any:
    """What Google's own SDK makes of the same wishes."""
    sent: list[Any] = []

    def keep(request: httpx2.Request) -> httpx2.Response:
        sent.append(json.loads(request.content))
        return httpx2.Response(200, json={"candidates": []})

    with sdk(types.HttpOptions(client_args={"transport": httpx2.MockTransport(keep)})) as client:
        ask_the_sdk(client, body)
    return sent[0]


# --- what is sent ---


def dialect(output_schema: Any = None, **remote: Any) -> tuple[Google, TaskSettings]:
    settings = make_settings(output_schema=output_schema, **{"provider": "google"} | remote)
    return Google(settings.remote, settings), settings


def test_a_prompt_is_an_instruction_and_turns() -> None:
    example = {"input": {"text": "where is it"}, "output": {"category": "shipping", "priority": 1}}
    settings = make_settings(provider="google").model_copy(
        update={"prompt": PromptSettings.model_validate({"system": "Sort.", "examples": [example]})}
    )
    body = body_of(settings)
    assert body["systemInstruction"] == {"parts": [{"text": "Sort."}]}
    assert [turn["role"] for turn in body["contents"]] == ["user", "model", "user"]
    assert json.loads(body["contents"][1]["parts"][0]["text"]) == example["output"]


def test_choices_are_of_one_type_each_and_truth_values_are_no_choice() -> None:
    _, settings = dialect({"size": [1, 2], "sure": [True], "mixed?": ["x", 1, False], "many": "list[int]"})
    fields = body_of(settings)["generationConfig"]["responseJsonSchema"]["properties"]
    assert fields["size"] == {"type": "integer", "enum": [1, 2]}
    assert fields["sure"] == {"type": "boolean"}
    mixed = [{"type": "boolean"}, {"type": "integer", "enum": [1]}, {"type": "string", "enum": ["x"]}]
    assert fields["mixed"] == {"anyOf": [{"anyOf": mixed}, {"type": "null"}]}
    assert fields["many"] == {"type": "array", "items": {"type": "integer"}}


KNOWN = {"type", "enum", "items", "anyOf", "properties", "additionalProperties", "required"}


@corner_cases
def test_a_schema_is_in_words_that_gemini_knows(case: str) -> None:
    """https://ai.google.dev/api/generate-content#FIELDS.response_json_schema lists them."""
    _, settings = dialect(SCHEMAS[case][0])
    schema = body_of(settings)["generationConfig"].get("responseJsonSchema")
    assert (schema is None) is case.startswith("free")
    for one in _schemas(schema or {}):
        assert set(one) <= KNOWN
        assert all(isinstance(choice, str | int) and choice is not True for choice in one.get("enum", ()))


def _schemas(schema: dict[str, Any]) -> list[dict[str, Any]]:
    parts = [*schema.get("anyOf", ()), *schema.get("properties", {}).values()]
    parts += [schema["items"]] if "items" in schema else []
    return [schema, *(inner for one in parts for inner in _schemas(one))]


def test_a_schema_that_cannot_be_enforced_is_told_and_the_answer_is_json_all_the_same() -> None:
    _, settings = dialect({"about": "dict"})
    own = settings.model_copy(update={"prompt": PromptSettings.model_validate({"system": "Sort."})})
    for one in (settings, own):
        body = body_of(one)
        assert body["systemInstruction"]["parts"][0]["text"].count(prompts.schema_text(settings)) == 1
        assert body["generationConfig"]["responseMimeType"] == "application/json"


@pytest.mark.parametrize(
    ("model", "effort", "sent"),
    [
        ("gemini-2.5-flash", None, None),
        ("gemini-2.5-flash", "none", {"thinkingBudget": 0}),
        ("gemini-2.5-pro", "low", {"thinkingBudget": 1024}),
        ("gemini-2.5-pro", "high", {"thinkingBudget": 24576}),
        ("gemini-3-pro-preview", "low", {"thinkingLevel": "LOW"}),
        ("gemini-flash-latest", "minimal", {"thinkingLevel": "MINIMAL"}),
    ],
)
def test_effort_is_a_budget_up_to_gemini_2_and_a_level_since(model: str, effort: str | None, sent: Any) -> None:
    _, settings = dialect(model=model, reasoning_effort=effort)
    assert body_of(settings)["generationConfig"].get("thinkingConfig") == sent
    types.ThinkingConfig.model_validate(sent or {})


def test_without_a_base_url_it_is_the_gemini_api() -> None:
    there, _ = dialect(model="gemini-2.5-flash")
    base = "https://generativelanguage.googleapis.com/v1beta/models/gemini-2.5-flash"
    assert (there.url, there.probe) == (f"{base}:generateContent", base)


def test_the_key_is_looked_for_where_googles_tools_do(monkeypatch: pytest.MonkeyPatch) -> None:
    there, _ = dialect()
    monkeypatch.delenv("GEMINI_API_KEY", raising=False)
    with pytest.raises(AuthFailed, match="GEMINI_API_KEY is not set"):
        there.headers("k")
    monkeypatch.setenv("GEMINI_API_KEY", "AIza-1")
    assert there.headers("k") == {"x-goog-api-key": "AIza-1"}


# --- what is read ---


def read(**response: Any) -> Completion:
    there, _ = dialect()
    return there.read(response)


def candidate(*parts: dict[str, Any], finish: str = "STOP") -> dict[str, Any]:
    return {"candidates": [{"content": {"role": "model", "parts": list(parts)}, "finishReason": finish}]}


def test_only_the_answer_is_read() -> None:
    parts = {"text": "hmm", "thought": True}, {"text": '{"a": '}, {"text": "1}", "thoughtSignature": "c2ln"}
    assert read(**candidate(*parts)) == Completion('{"a": 1}', Stop.DONE, None)


FILTERS = ["SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "ESCALATION", "MODEL_ARMOR"]


@pytest.mark.parametrize("finish", [one.value for one in types.FinishReason])
def test_every_way_to_stop_has_its_name(finish: str) -> None:
    expected = Stop.FILTERED if finish in FILTERS else Stop.CUT_OFF if finish == "MAX_TOKENS" else Stop.DONE
    assert read(**candidate({"text": "{}"}, finish=finish)).stop is expected


def test_one_that_thought_until_it_was_cut_off_has_written_nothing_and_is_paid() -> None:
    usage = {"promptTokenCount": 10, "thoughtsTokenCount": 509, "totalTokenCount": 519}
    response = {"candidates": [{"content": {"role": "model"}, "finishReason": "MAX_TOKENS"}], "usageMetadata": usage}
    assert read(**response) == Completion(None, Stop.CUT_OFF, Usage(10, 509, reasoning=509))
    assert read(candidates=[{"finishReason": "SAFETY"}]) == Completion(None, Stop.FILTERED, None)


def test_a_prompt_that_was_blocked_has_no_candidate() -> None:
    usage = {"promptTokenCount": 10, "totalTokenCount": 10}
    blocked = read(promptFeedback={"blockReason": "OTHER"}, usageMetadata=usage)
    assert blocked == Completion(None, Stop.FILTERED, Usage(10, 0))


UNREADABLE: list[Any] = [
    None,
    [],
    "text",
    {},
    {"candidates": []},
    {"candidates": [1]},
    {"candidates": [{"content": []}]},
]
PARTS: list[Any] = [{"text": None}, {"text": 1}, 1]


@pytest.mark.parametrize("response", UNREADABLE)
def test_what_is_no_generated_content_is_unreadable(response: Any) -> None:
    there, _ = dialect()
    with pytest.raises(Unreadable):
        there.read(response)


# --- what it costs: at the listed prices ---


def cost(model: str, usage: dict[str, Any], *, batch: bool = False) -> Decimal:
    """What we say that a response with this usage costs."""
    settings = make_settings(provider="google", model=model, price=None)
    response = candidate({"text": "{}"}) | {"usageMetadata": usage}
    model_ = HttpModel(settings.remote, Google(settings.remote, settings))
    return model_.answer(response, Decimal(1000), 0.1, batch=batch).cost


def usage(read: int, written: int, *, cached: int = 0, thoughts: int = 0) -> dict[str, Any]:
    counts = {
        "promptTokenCount": read,
        "cachedContentTokenCount": cached,
        "candidatesTokenCount": written,
        "thoughtsTokenCount": thoughts,
        "totalTokenCount": read + written + thoughts,
    }
    return {name: count for name, count in counts.items() if count}


def test_the_prices_of_these_examples_are_still_the_listed_ones() -> None:
    """https://ai.google.dev/gemini-api/docs/pricing: input, cached input, output (thinking included)."""
    listed = {
        model: (p.input_per_million, p.cached_input_per_million, p.output_per_million)
        for model in ("gemini-2.5-flash", "gemini-2.5-pro")
        if (p := price_of(ProviderSettings(provider="google", model=model))) is not None
    }
    assert listed == {
        "gemini-2.5-flash": tuple(map(Decimal, ("0.3", "0.03", "2.5"))),
        "gemini-2.5-pro": tuple(map(Decimal, ("1.25", "0.125", "10"))),
    }


def test_thoughts_come_on_top_of_the_answer_and_cost_the_same() -> None:
    # 100 x $0.30 + (50 + 950) x $2.50, for a million: $0.00003 + $0.0025
    assert cost("gemini-2.5-flash", usage(100, 50, thoughts=950)) == Decimal("0.00253")


def test_cached_input_is_part_of_the_prompt_and_costs_a_tenth() -> None:
    # 1,000 x $0.30 + 9,000 x $0.03 + 100 x $2.50, for a million: $0.0003 + $0.00027 + $0.00025
    assert cost("gemini-2.5-flash", usage(10_000, 100, cached=9000)) == Decimal("0.00082")


def test_a_long_call_costs_more_for_all_its_tokens() -> None:
    """gemini-2.5-pro above 200,000 input tokens: $2.50, $0.25 for cached input, $15."""
    # 100,000 x $1.25 + 100,000 x $0.125 + 1,000 x $10, for a million: $0.125 + $0.0125 + $0.01
    assert cost("gemini-2.5-pro", usage(200_000, 1000, cached=100_000)) == Decimal("0.1475")
    # 100,001 x $2.50 + 100,000 x $0.25 + 1,000 x $15, for a million: $0.2500025 + $0.025 + $0.015
    assert cost("gemini-2.5-pro", usage(200_001, 1000, cached=100_000)) == Decimal("0.2900025")


def test_a_batch_costs_half() -> None:
    """https://ai.google.dev/gemini-api/docs/batch-api: 50% of the standard price."""
    # (10,000 x $0.30 + 1,000 x $2.50) / 2, for a million: ($0.003 + $0.0025) / 2
    assert cost("gemini-2.5-flash", usage(10_000, 1000), batch=True) == Decimal("0.00275")


@pytest.mark.parametrize(
    ("said", "counted"),
    [
        (None, None),
        ("some", None),
        ({"candidatesTokenCount": 1}, None),
        ({"promptTokenCount": -1}, None),
        ({"promptTokenCount": 5}, Usage(5, 0)),
        # what no part names is in the sum
        ({"promptTokenCount": 5, "candidatesTokenCount": 1, "totalTokenCount": 9}, Usage(5, 4)),
        ({"promptTokenCount": 5, "cachedContentTokenCount": 7}, Usage(5, 0, cached=5)),
    ],
)
def test_tokens_are_read_or_said_to_be_unknown(said: Any, counted: Usage | None) -> None:
    assert read(**candidate({"text": "{}"}), usageMetadata=said).usage == counted
