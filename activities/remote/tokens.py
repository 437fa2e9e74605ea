"""Token counts as providers write them down, which may be anywhere or nowhere."""

from typing import Any


def part(said: Any, *names: str) -> Any:
    """What stands in nested objects under these names; None where there is nothing."""
    for name in names:
        said = said.get(name) if isinstance(said, dict) else None
    return said


def count(value: Any) -> int | None:
    """A number of tokens; None for anything that is none."""
    return value if type(value) is int and value >= 0 else None
