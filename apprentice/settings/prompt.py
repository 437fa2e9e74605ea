"""What a model is told besides the input: the same in service, in training and at every provider."""

from typing import Any

from pydantic import Field

from apprentice.settings.base import Settings


class PromptExample(Settings):
    """An input and the answer to it, shown to the model before the real input."""

    input: dict[str, Any]
    output: dict[str, Any]


class PromptSettings(Settings):
    """How a task is put to a language model. What is not said here follows from name, description and schemas."""

    system: str | None = Field(
        None, description="system prompt, in place of ours; Jinja: {{ task }}, {{ description }}, {{ schema }}"
    )
    template: str | None = Field(
        None, description="user message, in place of the input as JSON; Jinja: {{ input.FIELD }}, {{ input | tojson }}"
    )
    examples: list[PromptExample] = Field([], description="shown before every input, in this order")
