"""How `reasoning_effort` is said to each provider, and what cannot be said. Pure."""

from typing import Any

from apprentice.settings import ProviderSettings

# What Google itself makes of these words: https://ai.google.dev/gemini-api/docs/openai#thinking
GEMINI_2_BUDGETS = {"none": 0, "minimal": 1024, "low": 1024, "medium": 8192, "high": 24576}


def claude_effort(settings: ProviderSettings) -> str | None:
    """`effort` of Anthropic's `output_config`: it has no word below `low`. None: not set."""
    return "low" if settings.reasoning_effort == "minimal" else settings.reasoning_effort


def gemini_thinking(settings: ProviderSettings) -> dict[str, Any] | None:
    """Google's `thinkingConfig`: a budget of tokens up to Gemini 2.5, a level since. None: not set."""
    effort = settings.reasoning_effort
    if effort is None:
        return None
    return {"thinkingBudget": GEMINI_2_BUDGETS[effort]} if _budgeted(settings) else {"thinkingLevel": effort.upper()}


def problem(settings: ProviderSettings) -> str | None:
    """Why this provider's model cannot think as it is told to; None if nothing is known against it."""
    effort = settings.reasoning_effort
    if effort is None or settings.provider not in ("anthropic", "google"):
        return None
    if settings.provider == "google" and _budgeted(settings):
        budget = GEMINI_2_BUDGETS[effort]
        if effort == "none" and "pro" in settings.model:
            return f"{settings.model[:60]} cannot do without thinking: use `minimal`"
        if budget >= settings.max_output_tokens:
            return f"`{effort}` is up to {budget:,} tokens of thinking: set max_output_tokens above that"
        return None
    if effort == "none":
        return "not all models of this provider can do without thinking: use `low`, or leave it out"
    return None


def _budgeted(settings: ProviderSettings) -> bool:
    return settings.model.startswith("gemini-2")
