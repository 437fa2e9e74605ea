"""The output schema as providers take it."""

import json
from typing import Any

from apprentice.prompts import Prompt
from apprentice.schema import compile_schema
from apprentice.settings import TaskSettings


def wire_schema(settings: TaskSettings) -> tuple[dict[str, Any], bool]:
    """The output schema for a provider, and whether it may be enforced strictly.

    Strict decoding wants every field required (an optional one is null instead) and nothing free-form.
    """
    schema = compile_schema(settings.output_schema, settings.name).json_schema()
    strict = not _free(schema)
    return (_all_required(schema) if strict else schema), strict


def told(prompt: Prompt, schema: dict[str, Any]) -> str:
    """The system prompt for a model that nothing holds to the schema: it says the schema, if it does not already."""
    text = json.dumps(schema, ensure_ascii=False)
    if text in prompt.system:
        return prompt.system
    return f"{prompt.system}\n\nAnswer with one JSON object that fits this JSON Schema, and nothing else:\n{text}"


def anys(schema: dict[str, Any]) -> int:
    """How many places of a schema may hold one thing or another."""
    parts = [*schema.get("anyOf", ()), *schema.get("properties", {}).values()]
    parts += [schema["items"]] if "items" in schema else []
    return ("anyOf" in schema) + sum(anys(one) for one in parts)


def _free(schema: dict[str, Any]) -> bool:
    """Whether a `dict` or a bare `list` is anywhere in it: any JSON may stand there."""
    if "anyOf" in schema:
        return any(_free(one) for one in schema["anyOf"])
    if schema.get("type") == "object":
        return "properties" not in schema or any(_free(one) for one in schema["properties"].values())
    return schema.get("type") == "array" and ("items" not in schema or _free(schema["items"]))


def _all_required(schema: dict[str, Any]) -> dict[str, Any]:
    if "anyOf" in schema:
        return schema | {"anyOf": [_all_required(one) for one in schema["anyOf"]]}
    if "properties" in schema:
        fields = {name: _all_required(one) for name, one in schema["properties"].items()}
        return schema | {"properties": fields, "required": list(fields)}
    return schema | {"items": _all_required(schema["items"])} if "items" in schema else schema
