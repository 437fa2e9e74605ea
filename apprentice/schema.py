"""A schema like `{category: [billing, shipping], priority: int}`: checks values, and is a JSON Schema.

The mini-language is read by `apprentice.schema_types`; here its types become a pydantic validator and a JSON Schema.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, NotRequired, TypedDict, cast

from pydantic import ConfigDict, Field, PlainValidator, TypeAdapter, ValidationError, with_config
from pydantic_core import ErrorDetails, PydanticCustomError

from apprentice.schema_types import SIMPLE, Kind, SchemaError, Type, join, read_type

__all__ = ["Leaf", "Schema", "SchemaError", "compile_schema"]

MAX_VALUE_DEPTH = 32
MAX_PROBLEMS = 10
MAX_INT = 2**63 - 1
CHOICES_SHOWN = 10
_INDEX = re.compile(r"\[\d+\]")


@dataclass(frozen=True)
class Leaf:
    """One field that holds a value: `path` is dotted; `optional` if it or an object around it may be absent."""

    path: str
    kind: Kind
    choices: tuple[str | int | bool, ...] = ()
    optional: bool = False
    item: Kind | None = None


class Schema:
    """A compiled schema. Immutable; get it from `compile_schema`, which keeps it."""

    def __init__(self, root: Type, name: str) -> None:
        self.root = root
        self.fields: tuple[Leaf, ...] = tuple(_leaves(root, "", False))
        self._adapter: TypeAdapter[dict[str, Any]] = TypeAdapter(_annotation(root, name))
        self._json_schema = _json_schema(root)

    def validate(self, value: object) -> dict[str, Any]:
        """`value`, if it fits: strict types, nothing missing, nothing unknown, nothing that is not JSON.

        A whole number is accepted where a float is expected (and becomes one); "3" is not an int, true is not an
        int, NaN and infinities are refused, as are lone surrogates and nesting beyond 32 levels. Raises SchemaError
        with up to ten problems, each naming its field, none quoting a value.
        """
        try:
            checked = self._adapter.validate_python(value)
        except ValidationError as error:
            details = error.errors(include_url=False, include_input=False)
            raise SchemaError([_in_words(detail) for detail in details[:MAX_PROBLEMS]]) from None
        except RecursionError:
            raise SchemaError([("", "nested too deep")]) from None
        _check_json(checked, "", MAX_VALUE_DEPTH)
        return checked

    def json_schema(self) -> dict[str, Any]:
        """JSON Schema (2020-12) of the same values, self-contained: no `$ref`. A new copy each time."""
        return cast(dict[str, Any], json.loads(json.dumps(self._json_schema)))

    def has(self, path: str) -> bool:
        """Whether a dotted path names a field (or an object of fields); anything may lie inside a `dict`."""
        kind = self.root
        for part in path.split("."):
            if kind.kind == "dict":
                return True
            if part not in kind.fields:
                return False
            kind = kind.fields[part]
        return True

    def told(self, error: SchemaError) -> str:
        """The problems of a value, without the names that only the value has: they may be anybody's words."""
        known = set(self.paths)
        return "; ".join(f"{path}: {words}" if path else words for path, words in _known(error.problems, known))

    @property
    def paths(self) -> list[str]:
        """All dotted paths, of values and of objects."""
        return list(_paths(self.root, ""))


def compile_schema(spec: Mapping[str, Any], name: str = "value") -> Schema:
    """The schema that `spec` (the mini-language, as YAML gives it) stands for; `name` is for people.

    Cheap to call: what was compiled is kept by content. Raises SchemaError if `spec` is malformed.
    """
    try:
        content = json.dumps(spec)
    except (TypeError, ValueError):
        read_type(spec)  # names the field, if it is the type of one that is wrong
        raise SchemaError([("", "a schema holds text, numbers, booleans, lists and mappings only")]) from None
    return _compile(content, name)


@lru_cache(maxsize=1024)
def _compile(content: str, name: str) -> Schema:
    root = read_type(json.loads(content))
    if root.kind != "object":
        raise SchemaError([("", "expected a mapping of fields")])
    return Schema(root, name)


# --- the validator ---------------------------------------------------------------------------------------------

_PLAIN: dict[Kind, Any] = {
    "str": str,
    "int": int,
    "float": Annotated[float, Field(allow_inf_nan=False)],
    "bool": bool,
    "dict": dict[str, Any],
    "list": list[Any],
}


def _annotation(kind: Type, name: str) -> Any:
    if kind.kind == "object":
        annotation = _object(kind, name)
    elif kind.kind == "enum":
        annotation = Annotated[Any, PlainValidator(_one_of(kind.choices))]
    elif kind.item is not None:
        annotation = list[_annotation(kind.item, name)]  # type: ignore[misc]
    else:
        annotation = _PLAIN[kind.kind]
    return annotation | None if kind.optional else annotation


def _object(kind: Type, name: str) -> Any:
    # A TypedDict, not a model: field names like `class` or `copy` are fine in it, and values stay plain JSON.
    fields = {
        key: NotRequired[_annotation(one, key)] if one.optional else _annotation(one, key)
        for key, one in kind.fields.items()
    }
    built = cast(Any, TypedDict)(name, fields)
    return with_config(ConfigDict(extra="forbid", strict=True))(built)


def _one_of(choices: tuple[str | int | bool, ...]) -> Any:
    allowed = {(type(choice), choice) for choice in choices}
    shown = ", ".join(repr(choice) for choice in choices[:CHOICES_SHOWN])
    more = f", … ({len(choices)} in all)" if len(choices) > CHOICES_SHOWN else ""
    message = f"expected one of {shown}{more}"

    def check(value: object) -> object:
        # By type too: True == 1 == 1.0 in Python, but they are three different answers.
        if isinstance(value, str | int) and (type(value), value) in allowed:
            return value
        raise PydanticCustomError("enum", message)

    return check


def _check_json(value: object, path: str, depth: int) -> None:
    """Refuse what pydantic lets through in free text and free JSON. Raises SchemaError."""
    match value:
        case str():
            if not value.isascii():
                _check_text(value, path)
        case None | bool():
            pass
        case int():
            if abs(value) > MAX_INT:
                raise SchemaError([(path, "expected a whole number of at most 64 bits")])
        case float():
            if value != value or value in (float("inf"), float("-inf")):
                raise SchemaError([(path, "expected a finite number")])
        case dict() | list() if depth == 0:
            raise SchemaError([(path, f"nested deeper than {MAX_VALUE_DEPTH} levels")])
        case dict():
            for key, item in value.items():
                if not isinstance(key, str):
                    raise SchemaError([(path, "every key must be text")])
                _check_text(key, path)
                _check_json(item, join(path, key[:40]), depth - 1)
        case list():
            for index, item in enumerate(value):
                _check_json(item, f"{path}[{index}]", depth - 1)
        case _:
            raise SchemaError([(path, f"expected JSON, got {type(value).__name__}")])


def _check_text(text: str, path: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise SchemaError([(path, "text holds half of a surrogate pair, which is no character")]) from None


_WORDS = {
    "missing": "is missing",
    "extra_forbidden": "is not a field of this schema",
    "string_type": "expected text",
    "int_type": "expected a whole number",
    "float_type": "expected a number",
    "bool_type": "expected true or false",
    "finite_number": "expected a finite number",
    "dict_type": "expected an object",
    "list_type": "expected a list",
}


def _in_words(detail: ErrorDetails) -> tuple[str, str]:
    path = ""
    for part in detail["loc"]:
        shown = str(part).encode("utf-8", "replace").decode()[:40]
        path = f"{path}[{part}]" if isinstance(part, int) else join(path, shown)
    return path, _WORDS.get(detail["type"], detail["msg"])


# --- its descriptions ------------------------------------------------------------------------------------------

_JSON_TYPES: dict[Kind, str] = {
    "str": "string",
    "int": "integer",
    "float": "number",
    "bool": "boolean",
    "dict": "object",
    "list": "array",
}


def _json_schema(kind: Type) -> dict[str, Any]:
    described: dict[str, Any]
    if kind.kind == "object":
        described = {
            "type": "object",
            "properties": {name: _json_schema(one) for name, one in kind.fields.items()},
            "required": [name for name, one in kind.fields.items() if not one.optional],
            "additionalProperties": False,
        }
    elif kind.kind == "enum":
        described = {"enum": list(kind.choices)}
        if len(types := {type(choice).__name__ for choice in kind.choices}) == 1:
            described["type"] = _JSON_TYPES[SIMPLE[types.pop()]]
    else:
        described = {"type": _JSON_TYPES[kind.kind]}
        if kind.item is not None:
            described["items"] = _json_schema(kind.item)
    return {"anyOf": [described, {"type": "null"}]} if kind.optional else described


def _leaves(kind: Type, path: str, optional: bool) -> Iterator[Leaf]:
    optional = optional or kind.optional
    if kind.kind != "object":
        yield Leaf(path, kind.kind, kind.choices, optional, kind.item.kind if kind.item else None)
    for name, one in kind.fields.items():
        yield from _leaves(one, join(path, name), optional)


def _known(problems: list[tuple[str, str]], known: set[str]) -> Iterator[tuple[str, str]]:
    for path, words in problems:
        shown = path
        while shown and _INDEX.sub("", shown) not in known:
            shown = shown.rpartition(".")[0]
        yield (shown if shown == path else join(shown, "…")), words


def _paths(kind: Type, path: str) -> Iterator[str]:
    for name, one in kind.fields.items():
        yield join(path, name)
        yield from _paths(one, join(path, name))
