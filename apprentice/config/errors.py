"""What is wrong with a configuration, in words: pydantic's errors, translated, with the place in the file."""

import re
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from apprentice.config.yaml_source import Node, Problem
from apprentice.settings import Settings

Path = tuple[str | int, ...]
SHOWN = 40
# Fields that are worked out from the rest of the file, never written in it.
RESOLVED = {"shared_budget"}


class ConfigError(ValueError):
    """The configuration is not usable. `problems` holds everything that was found; `str()` is one line for each."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = sorted(dict.fromkeys(problems), key=lambda problem: (problem.line, problem.key))
        super().__init__("\n".join(map(str, self.problems)))


def problem_at(source: str, node: Node, path: Path, words: str) -> Problem:
    """A problem with the value at `path` below `node`."""
    line, key = node.locate(path)
    return Problem(source, line, key, words)


def did_you_mean(word: str, known: list[str]) -> str:
    """`; did you mean x?` if something is near, else nothing."""
    near = get_close_matches(word.lower(), known, n=1, cutoff=0.6)
    return f"; did you mean `{near[0]}`?" if near else ""


def in_words(error: ValidationError, model: type[Settings], node: Node) -> Iterator[tuple[Path, str, str]]:
    """Each error as (path, type, words). No value is quoted, except a short one that had to be one of a few."""
    for detail in error.errors(include_url=False):
        path = _path(detail)
        yield path, detail["type"], _words(detail, path, model, _value(node, path))


_EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "float_type": "a number",
    "decimal_type": "a number",
    "is_instance_of": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "time_delta_type": "a duration such as 7d or 12h",
}
_PATTERNS = {
    "name": "must be lower-case letters, digits and `_`, starting with a letter, at most 63 of them",
    "currency": "must be three capital letters such as USD",
    "payload_endpoint": "expected an address such as https://storage.example",
}


def _path(detail: ErrorDetails) -> Path:
    path = detail["loc"]
    if "key" in detail.get("ctx", {}):
        return (*path, detail["ctx"]["key"])
    if "numeric_tolerance" in path:  # pydantic adds the names of the union's members
        return path[: path.index("numeric_tolerance") + 1]
    return path


def _words(detail: ErrorDetails, path: Path, model: type[Settings], value: Any) -> str:
    kind, name = detail["type"], str(path[-1]) if path else ""
    if kind == "missing":
        return "is missing"
    if kind == "extra_forbidden":
        return _unknown_key(name, _model_at(model, path[:-1]) or model, model)
    if name == "numeric_tolerance":
        return "expected a number not below 0, or a mapping of field names to such numbers"
    if kind in _EXPECTED:
        return f"expected {_EXPECTED[kind]}, got {_called(value)}"
    if kind == "literal_error":
        return _unknown_value(value, _choices(_model_at(model, path[:-1]) or model, name))
    if kind == "string_pattern_mismatch" and name in _PATTERNS:
        return _PATTERNS[name]
    if kind == "string_too_short":
        return "must not be empty"
    if limit := _limit(detail, name):
        return limit
    return detail["msg"].replace("Input should be", "must be")


_DAYS = re.compile(r"datetime\.timedelta\((?:days=)?(\d+)\)")
_KIB = 1024


def _limit(detail: ErrorDetails, name: str) -> str | None:
    """A bound on a duration or on bytes, in the units in which the file says it."""
    words = detail["msg"].replace("Input should be", "must be")
    if _DAYS.search(words):
        return _DAYS.sub(r"\1d", words)
    bound = detail.get("ctx", {}).get("le", detail.get("ctx", {}).get("ge"))
    if name == "max_payload" and isinstance(bound, int):
        return words.replace(str(bound), f"{bound // _KIB}KiB")
    return None


def unknown_name(word: str, known: list[str], what: str) -> str:
    """`unknown evaluator 'exct_match'; did you mean `exact_match`? (there are ...)`"""
    return f"unknown {what} {word[:SHOWN]!r}{did_you_mean(word, known)} (there are: {', '.join(known)})"


def _unknown_value(value: object, known: list[str]) -> str:
    if not isinstance(value, str):
        return f"expected one of {', '.join(known)}, got {_called(value)}"
    return unknown_name(value, known, "value")


def _unknown_key(key: str, model: type[BaseModel], root: type[Settings]) -> str:
    known = [name for name in model.model_fields if name not in RESOLVED]
    hint = did_you_mean(key, known)
    if not hint:
        homes = [name for name, one in _sections(root) if key in one.model_fields]
        hint = f"; it belongs under `{homes[0]}`" if homes else f" (there are: {', '.join(known)})"
    return f"unknown key{hint}"


def _sections(root: type[BaseModel]) -> Iterator[tuple[str, type[BaseModel]]]:
    for name, info in root.model_fields.items():
        if (section := _model_in(info.annotation)) is not None:
            yield name, section


def _model_at(model: type[BaseModel], path: Path) -> type[BaseModel] | None:
    current: type[BaseModel] | None = model
    for part in path:
        if isinstance(part, str):
            info = current.model_fields.get(part) if current else None
            current = _model_in(info.annotation) if info else None
    return current


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part)) is not None), None)


def _choices(model: type[BaseModel], name: str) -> list[str]:
    info = model.model_fields.get(name)
    return [str(choice) for choice in get_args(info.annotation)] if info else []


def _value(node: Node, path: Path) -> Any:
    for part in path:
        if isinstance(part, str) and part in node.mapping:
            node = node.mapping[part]
        elif isinstance(part, int) and part < len(node.items):
            node = node.items[part]
        else:
            return None
    return node.plain()


def _called(value: object) -> str:
    match value:
        case None:
            return "nothing"
        case bool():
            return "true or false"
        case str():
            return "text"
        case int():
            return "a whole number"
        case list():
            return "a list"
        case dict():
            return "a mapping"
    return "a number with a fraction"
