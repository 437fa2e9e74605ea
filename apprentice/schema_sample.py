"""The plainest value that fits a schema: something to ask a model with before it gets real questions."""

from typing import Any

from apprentice.schema_types import Type

_PLAINEST: dict[str, Any] = {"str": "", "int": 0, "float": 0.0, "bool": False, "dict": {}, "list": []}


def sample(kind: Type) -> Any:
    """Empty text, zeros, the first literal, no list items; optional fields are left out."""
    if kind.kind == "object":
        return {name: sample(one) for name, one in kind.fields.items() if not one.optional}
    if kind.kind == "enum":
        return kind.choices[0]
    plainest = _PLAINEST[kind.kind]
    return type(plainest)(plainest)
