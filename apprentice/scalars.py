"""What a JSON value holds, piece by piece: as familiarity is measured by it and features are made of it."""

from collections.abc import Iterator, Mapping
from typing import Any


def scalars(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """(path, scalar) of everything inside a JSON value; a list item's path ends in `[]`."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from scalars(inner, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from scalars(inner, f"{path}[]")
    else:
        yield path, value
