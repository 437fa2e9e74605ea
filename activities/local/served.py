"""A version of a server's model, read from its folder, and the prompt that it is asked with."""

from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from activities.local.model import ModelUnavailable, version_dir
from apprentice import prompts
from apprentice.prompts import Prompt, PromptError
from apprentice.served_version import FILE, ServedVersion
from apprentice.settings import TaskSettings


class Served(NamedTuple):
    """A version as it lies on disk."""

    version: int
    folder: Path
    made_of: ServedVersion


def read_version(settings: TaskSettings, version: int) -> Served:
    """The version, all its files present. Blocks for a few milliseconds. Raises ModelUnavailable."""

    def unavailable(reason: str) -> ModelUnavailable:
        return ModelUnavailable(settings.name, version, f"{reason}; train the version again")

    folder = version_dir(settings, version)
    file = folder / FILE
    try:
        made_of = ServedVersion.model_validate_json(file.read_bytes())
    except OSError as error:
        raise unavailable(f"{file} cannot be read ({type(error).__name__})") from None
    except ValidationError as error:
        raise unavailable(f"{file} is damaged ({error.error_count()} problems)") from None
    for part in filter(None, (made_of.adapter, made_of.model)):
        if not (folder / part).exists():
            raise unavailable(f"{folder / part} is missing")
    now = prompts.version(settings)
    if made_of.trained and made_of.prompt_version != now:
        raise unavailable(f"it was trained with prompt {made_of.prompt_version}, the task's is {now} now")
    return Served(version, folder, made_of)


def prompt_for(settings: TaskSettings, served: Served, input: dict[str, Any]) -> Prompt:
    """The task's prompt with the version's own examples after the task's. Raises ModelUnavailable."""
    try:
        prompt = prompts.build(settings, input)
        shown = tuple(
            (prompts.build(settings, one.input).user, prompts.answer_text(one.output))
            for one in served.made_of.examples
        )
    except PromptError as error:
        raise ModelUnavailable(settings.name, served.version, str(error)) from None
    return prompt._replace(turns=prompt.turns + shown)
