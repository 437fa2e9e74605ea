"""A JSON Schema as llama.cpp can keep a model to it; Ollama has llama.cpp inside.

Its grammar writer does not escape the backslash in literals and names (measured with Ollama 0.6.5): `with "quotes"`
makes a grammar that cannot be read, so that the model writes what it likes, and `a\\b` becomes `a` and a backspace.
Such a literal is let free here; that the answer is one of the literals is checked when it is read.
"""

import json
from typing import Any


def for_grammar(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema, no stricter: literals and field names that cannot be written are replaced by their type alone."""
    if "anyOf" in schema:
        return schema | {"anyOf": [for_grammar(one) for one in schema["anyOf"]]}
    if any(_awkward(choice) for choice in schema.get("enum", [])):
        return {name: value for name, value in schema.items() if name != "enum"}
    if "properties" in schema:
        if any(map(_awkward, schema["properties"])):
            return {"type": "object"}
        return schema | {"properties": {name: for_grammar(one) for name, one in schema["properties"].items()}}
    return schema | {"items": for_grammar(schema["items"])} if "items" in schema else schema


def _awkward(literal: object) -> bool:
    return "\\" in json.dumps(literal, ensure_ascii=False)
