"""How `reasoning_effort` is said to each provider, and what cannot be said. Pure."""

import re
from typing import Any

from apprentice.settings import ProviderSettings

# What Google itself makes of these words: https://ai.google.dev/gemini-api/docs/openai#thinking
GEMINI_2_BUDGETS = {"none": 0, "minimal": 1024, "low": 1024, "medium": 8192, "high": 24576}
# The least that all models of a provider take.
LEAST = {"anthropic": "low", "google": "minimal"}
# With less, the thoughts of a short answer often leave nothing for the answer, which is paid all the same.
ROOM_TO_THINK = 2048
# https://platform.claude.com/docs/en/build-with-claude/thinking, https://ai.google.dev/gemini-api/docs/thinking
# https://platform.claude.com/docs/en/build-with-claude/effort
_THINKERS = re.compile(r"claude-(?!.*-4(-|$)|[123])|gemini-(?![12]\.[0-4]|.*-lite)")
_NO_EFFORT = re.compile(r"claude-([123]|haiku-4|sonnet-4(?!-[6-9])|opus-4(?!-[5-9]))")


def claude_effort(settings: ProviderSettings) -> str | None:
    """`effort` of Anthropic's `output_config`: it has no word below `low`. None: not set, or nothing to say."""
    effort = settings.reasoning_effort
    return {"none": None, "minimal": "low"}.get(effort, effort) if effort else None


def gemini_thinking(settings: ProviderSettings) -> dict[str, Any] | None:
    """Google's `thinkingConfig`: a budget of tokens up to Gemini 2.5, a level since. None: not set."""
    effort = settings.reasoning_effort
    if effort is None:
        return None
    return {"thinkingBudget": GEMINI_2_BUDGETS[effort]} if _budgeted(settings) else {"thinkingLevel": effort.upper()}


def problem(settings: ProviderSettings) -> tuple[str, str] | None:
    """A setting and why this provider's model cannot think as it is told to; None if nothing is known against it."""
    effort, room, model = settings.reasoning_effort, settings.max_output_tokens, settings.model[:60]
    if settings.provider not in ("anthropic", "google"):
        return None
    if effort == "none" and ("pro" in model if _budgeted(settings) else _thinks(model)):
        return "reasoning_effort", f"{model} cannot be kept from thinking: use `{LEAST[settings.provider]}`"
    if effort not in (None, "none") and _NO_EFFORT.match(model):
        return "reasoning_effort", f"{model} takes none: leave it out"
    if effort is not None and _budgeted(settings):
        budget = GEMINI_2_BUDGETS[effort]
        if budget >= room:
            return "max_output_tokens", f"must be above {budget:,}, the tokens of thinking that `{effort}` allows"
        return None
    if effort in (None, "medium", "high") and room < ROOM_TO_THINK and _thinks(model):
        words = f"{model} thinks before it answers, out of the same tokens; or set reasoning_effort to less"
        return "max_output_tokens", f"must be {ROOM_TO_THINK:,} or more: {words}"
    return None


def _budgeted(settings: ProviderSettings) -> bool:
    return settings.provider == "google" and settings.model.startswith("gemini-2")


def _thinks(model: str) -> bool:
    """Whether the model is known to think unless told otherwise."""
    return _THINKERS.match(model) is not None
