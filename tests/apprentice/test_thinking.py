"""`reasoning_effort`: what can be said to each provider, and what is refused at load."""

import pytest

from apprentice.config import ConfigError, parse
from apprentice.settings import ProviderSettings
from apprentice.thinking import claude_effort, gemini_thinking, problem

TASK = "tasks:\n- name: t\n  input_schema: {text: str}\n  output_schema: {label: str}\n  evaluator: exact_match\n"
KEYS = {"ANTHROPIC_API_KEY": "k", "GEMINI_API_KEY": "k", "OPENAI_API_KEY": "k", "SOME_KEY": "k"}


def settings(provider: str, model: str, effort: str | None, **others: int) -> ProviderSettings:
    return ProviderSettings.model_validate({"provider": provider, "model": model, "reasoning_effort": effort, **others})


@pytest.mark.parametrize("effort", ["minimal", "low", "medium", "high"])
@pytest.mark.parametrize(
    ("model", "takes"),
    [
        ("claude-sonnet-4-6", True),
        ("claude-opus-4-5-20251101", True),
        ("claude-opus-4-8", True),
        ("claude-haiku-5-5", True),
        ("claude-sonnet-4-5", False),
        ("claude-sonnet-4-20250514", False),
        ("claude-haiku-4-5", False),
        ("claude-opus-4-1", False),
        ("claude-3-5-haiku-latest", False),
    ],
)
def test_what_claude_takes(model: str, takes: bool, effort: str) -> None:
    one = settings("anthropic", model, effort, max_output_tokens=4096)
    assert claude_effort(one) in {"low", "medium", "high"}
    assert (problem(one) is None) is takes


def test_nothing_is_said_where_nothing_was_chosen() -> None:
    assert gemini_thinking(settings("google", "gemini-2.5-flash", None)) is None
    assert gemini_thinking(settings("google", "gemini-3-flash", None)) is None
    assert claude_effort(settings("anthropic", "claude-sonnet-5-5", None)) is None
    assert claude_effort(settings("anthropic", "claude-sonnet-4-5", "none")) is None


def test_a_budget_has_to_leave_room_for_the_answer() -> None:
    assert problem(settings("google", "gemini-2.5-flash", "medium", max_output_tokens=8192)) is not None
    assert problem(settings("google", "gemini-2.5-flash", "medium", max_output_tokens=8193)) is None
    assert problem(settings("google", "gemini-2.5-flash", "none", max_output_tokens=1)) is None


CLAUDE, GEMINI = "provider: anthropic, model: claude-", "provider: google, model: gemini-"
VERTEX = f"{GEMINI}2.5-pro, max_output_tokens: 4096, vertex: "


@pytest.mark.parametrize(
    ("remote", "words"),
    [
        (f"{CLAUDE}sonnet-5-5, reasoning_effort: none", "reasoning_effort: claude-sonnet-5-5 cannot be kept from"),
        (f"{GEMINI}3.8-flash, reasoning_effort: none", "reasoning_effort: gemini-3.8-flash cannot be kept from"),
        (f"{GEMINI}2.5-pro, reasoning_effort: none", "thinking: use `minimal`"),
        (f"{CLAUDE}sonnet-4-5, reasoning_effort: low", "reasoning_effort: claude-sonnet-4-5 takes none"),
        (f"{GEMINI}2.5-flash, reasoning_effort: low", "max_output_tokens: must be above 1,024"),
        (f"{GEMINI}2.5-flash", "max_output_tokens: must be 2,048 or more: gemini-2.5-flash thinks"),
        (f"{CLAUDE}sonnet-5-5", "max_output_tokens: must be 2,048 or more: claude-sonnet-5-5 thinks"),
        (f"{CLAUDE}sonnet-5-5, reasoning_effort: high", "max_output_tokens: must be 2,048 or more"),
        (f"{CLAUDE}sonnet-4-5, temperature: 1.5", "temperature: must not be above 1"),
        (f"{CLAUDE}sonnet-4-5, vertex: {{project: p}}", "vertex: has no effect with anthropic"),
        (f"{VERTEX}{{project: p}}, api_key_env: SOME_KEY", "api_key_env: has no effect with vertex"),
        (f"{VERTEX}{{project: p, location: 'evil.example/'}}", "vertex.location: "),
    ],
)
def test_what_cannot_be_said_is_refused_at_load(remote: str, words: str) -> None:
    for source in (
        f"{TASK}remote: {{{remote}}}\n",
        f"{TASK}remote: {{provider: simulated, model: claude-sonnet-4-5, additional_providers: [{{{remote}}}]}}\n",
    ):
        with pytest.raises(ConfigError) as caught:
            parse(source, "a.yaml", KEYS)
        (only,) = caught.value.problems
        assert words in str(only)


@pytest.mark.parametrize(
    "remote",
    [
        f"{CLAUDE}sonnet-4-5, temperature: 1",
        f"{CLAUDE}sonnet-4-5, reasoning_effort: none",
        f"{CLAUDE}sonnet-4-6, reasoning_effort: minimal",
        f"{CLAUDE}sonnet-5-5, reasoning_effort: low",
        f"{CLAUDE}sonnet-5-5, max_output_tokens: 2048",
        f"{GEMINI}2.5-flash, reasoning_effort: none",
        f"{GEMINI}2.5-flash-lite",
        f"{GEMINI}2.5-pro, reasoning_effort: low, max_output_tokens: 2048",
        f"{VERTEX}{{project: p, location: europe-west4}}",
        "provider: openai, model: gpt-5.2, reasoning_effort: none",
    ],
)
def test_what_can_be_said_loads_with_its_listed_price(remote: str) -> None:
    price = parse(f"{TASK}remote: {{{remote}}}\n", "a.yaml", KEYS).tasks[0].remote.price
    assert price is not None
    assert price.output_per_million > 0


@pytest.mark.parametrize(
    ("model", "thinks"),
    [
        ("claude-sonnet-4-5", False),
        ("claude-haiku-4-5-20251001", False),
        ("claude-opus-4-8", False),
        ("claude-opus-4", False),
        ("claude-3-5-haiku-latest", False),
        ("claude-sonnet-5", True),
        ("claude-haiku-5-5", True),
        ("claude-fable-5-2", True),
        ("gemini-2.0-flash", False),
        ("gemini-2.5-flash", True),
        ("gemini-2.5-flash-lite", False),
        ("gemini-3.1-flash-lite", False),
        ("gemini-3-pro-preview", True),
        ("gemini-flash-latest", True),
        ("teacher", False),
    ],
)
def test_a_model_that_thinks_of_itself_needs_room_for_it(model: str, thinks: bool) -> None:
    provider = "google" if model.startswith("gemini") else "anthropic"
    found = problem(settings(provider, model, None))
    assert (found is not None) is thinks
    assert problem(settings(provider, model, None, max_output_tokens=2048)) is None
