"""The command that serves one version of a model: `local.server_command` with its places filled in."""

from collections.abc import Sequence
from pathlib import Path

MODEL, ADAPTER, PORT = "{model}", "{adapter}", "{port}"


def fill_in(command: Sequence[str], model: Path, adapter: Path | None) -> tuple[str, ...]:
    """The words with `{model}` and `{adapter}` put in; `{port}` stays, as each start has its own.

    Without an adapter its word is left out, and so is the option before it (`--lora {adapter}`).
    """
    words: list[str] = []
    for word in command:
        if ADAPTER not in word:
            words.append(word.replace(MODEL, str(model)))
        elif adapter is not None:
            words.append(word.replace(ADAPTER, str(adapter)))
        elif words and word == ADAPTER and words[-1].startswith("-"):
            words.pop()
    return tuple(words)


def with_port(command: Sequence[str], port: int) -> list[str]:
    """The words as they are run."""
    return [word.replace(PORT, str(port)) for word in command]
