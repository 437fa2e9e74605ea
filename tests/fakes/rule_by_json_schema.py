"""Answers that fit a JSON Schema and that a student can learn: the invented teacher's rule."""

from typing import Any

from activities.remote.rule import LABELS, RATINGS, choose


def answer(schema: dict[str, Any], words: frozenset[str], seed: str = "fake") -> Any:
    """A value of the schema for an input of these words: always the same one."""
    if "anyOf" in schema:
        return answer(schema["anyOf"][0], words, seed)
    if "enum" in schema:
        return choose(schema["enum"], words, seed)
    match schema["type"]:
        case "object":
            return {name: answer(one, words, f"{seed}/{name}") for name, one in schema.get("properties", {}).items()}
        case "array":
            return [answer(schema["items"], words, seed)] if "items" in schema else []
        case "boolean":
            return choose((False, True), words, seed)
        case "integer" | "number":
            return choose(RATINGS, words, seed)
        case _:
            return choose(LABELS, words, seed)
