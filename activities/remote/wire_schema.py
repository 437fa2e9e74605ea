"""The output schema as providers take it.

What strict decoding wants is what OpenAI wants of it, whose rules others copied: every field required (an optional one
is null instead), nothing free-form, a type for everything, and no more of it than these limits.
https://platform.openai.com/docs/guides/structured-outputs#supported-schemas
"""

from collections.abc import Iterator
from typing import Any

from apprentice.schema import compile_schema
from apprentice.settings import TaskSettings

MOST_LEVELS = 10
MOST_FIELDS = 5_000
MOST_CHOICES = 1_000
MOST_TEXT = 120_000
# Of one field with more than 250 choices.
MOST_TEXT_OF_CHOICES = 15_000

_TYPES = {bool: "boolean", int: "integer", str: "string"}


def wire_schema(settings: TaskSettings) -> tuple[dict[str, Any], bool]:
    """The output schema for a provider, and whether it may be enforced strictly."""
    schema = compile_schema(settings.output_schema, settings.name).json_schema()
    strict = not _free(schema) and _within_limits(schema)
    return (_strict(schema) if strict else schema), strict


def _free(schema: dict[str, Any]) -> bool:
    """Whether a `dict` or a bare `list` is anywhere in it: any JSON may stand there."""
    return any(
        (one.get("type") == "object" and "properties" not in one) or (one.get("type") == "array" and "items" not in one)
        for one, _ in _nested(schema)
    )


def _within_limits(schema: dict[str, Any]) -> bool:
    parts = list(_nested(schema))
    names = [name for one, _ in parts for name in one.get("properties", ())]
    choices = [one["enum"] for one, _ in parts if "enum" in one]
    return (
        max(level for _, level in parts) <= MOST_LEVELS
        and len(names) <= MOST_FIELDS
        and sum(map(len, choices)) <= MOST_CHOICES
        and all(len(some) <= 250 or _text(some) <= MOST_TEXT_OF_CHOICES for some in choices)
        and _text(names) + sum(map(_text, choices)) <= MOST_TEXT
    )


def _text(words: list[Any]) -> int:
    return sum(len(str(word)) for word in words)


def _nested(schema: dict[str, Any], level: int = 0) -> Iterator[tuple[dict[str, Any], int]]:
    """The schema and all that is in it, each with the number of objects and lists around it."""
    yield schema, level
    for one in schema.get("anyOf", ()):
        yield from _nested(one, level)
    for one in schema.get("properties", {}).values():
        yield from _nested(one, level + 1)
    if "items" in schema:
        yield from _nested(schema["items"], level + 1)


def _strict(schema: dict[str, Any]) -> dict[str, Any]:
    if "anyOf" in schema:
        return schema | {"anyOf": [_strict(one) for one in schema["anyOf"]]}
    if "properties" in schema:
        fields = {name: _strict(one) for name, one in schema["properties"].items()}
        return schema | {"properties": fields, "required": list(fields)}
    if "enum" in schema and "type" not in schema:
        return {"anyOf": list(_by_type(schema["enum"]))}
    return schema | {"items": _strict(schema["items"])} if "items" in schema else schema


def _by_type(choices: list[Any]) -> Iterator[dict[str, Any]]:
    """Choices of several types, each type for itself."""
    for kind, name in _TYPES.items():
        if some := [choice for choice in choices if type(choice) is kind]:
            yield {"enum": some, "type": name}
