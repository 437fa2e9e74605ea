"""The types of the schema mini-language: reading them from YAML values.

    str  int  float  bool  dict  list      a JSON value of that type; dict and list hold any JSON
    list[T]                                a list of T
    T?  optional[T]                        may be null or left out
    [billing, shipping]                    one of these literals (text, whole numbers, booleans); with null: optional
    {street: str, city: str}               a nested object

A field name that ends in `?` makes the field optional, whatever its type: `address?: {city: str}`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any, Literal

Kind = Literal["str", "int", "float", "bool", "dict", "list", "enum", "object"]
SIMPLE: dict[str, Kind] = {
    "str": "str",
    "int": "int",
    "float": "float",
    "bool": "bool",
    "dict": "dict",
    "list": "list",
}
MAX_SPEC_DEPTH = 16
MAX_CHOICES = 10_000

_FIELD_NAME = re.compile(r"[^\s.?\[\]]{1,100}\??")
_WRAPPED = re.compile(r"(list|optional)\[(.*)\]", re.DOTALL)


class SchemaError(ValueError):
    """A schema is malformed, or a value does not fit one. Every problem is a pair (field path, plain words).

    Values are never quoted in it: they are the caller's data.
    """

    def __init__(self, problems: list[tuple[str, str]]) -> None:
        self.problems = problems
        super().__init__("; ".join(f"{path}: {words}" if path else words for path, words in problems))


@dataclass(frozen=True)
class Type:
    """One type. `choices` belongs to enum, `item` to list (None: any JSON), `fields` to object."""

    kind: Kind
    optional: bool = False
    choices: tuple[str | int | bool, ...] = ()
    item: "Type | None" = None
    fields: Mapping[str, "Type"] = field(default_factory=dict)


def read_type(spec: object, path: str = "", depth: int = 0) -> Type:
    """The type that a YAML value stands for. Raises SchemaError naming `path`."""
    if depth > MAX_SPEC_DEPTH:
        raise SchemaError([(path, f"nested deeper than {MAX_SPEC_DEPTH} levels")])
    match spec:
        case str():
            return _read_name(spec.strip(), path, depth)
        case list():
            return _read_choices(spec, path)
        case Mapping():
            return _read_object(spec, path, depth)
    raise SchemaError([(path, "expected a type like str, a list of literals, or a mapping of fields")])


def _read_name(text: str, path: str, depth: int) -> Type:
    if depth > MAX_SPEC_DEPTH:
        raise SchemaError([(path, f"nested deeper than {MAX_SPEC_DEPTH} levels")])
    if text.endswith("?"):
        return replace(_read_name(text[:-1].rstrip(), path, depth + 1), optional=True)
    if wrapped := _WRAPPED.fullmatch(text):
        inner = _read_name(wrapped[2].strip(), path, depth + 1)
        return replace(inner, optional=True) if wrapped[1] == "optional" else Type("list", item=inner)
    if text in SIMPLE:
        return Type(SIMPLE[text])
    near = get_close_matches(text.lower(), [*SIMPLE, "list[str]", "optional[str]"], n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}? " if near else ""
    raise SchemaError([(path, f"unknown type {text[:40]!r}; {hint}{_NAMES}")])


_NAMES = "there are str, int, float, bool, dict, list, list[T], optional[T], T?, a list of literals, a nested mapping"


def _read_choices(spec: list[Any], path: str) -> Type:
    optional, choices = None in spec, [choice for choice in spec if choice is not None]
    if not choices or len(choices) > MAX_CHOICES:
        raise SchemaError([(path, f"a list of literals needs 1 to {MAX_CHOICES} of them")])
    if wrong := [choice for choice in choices if not isinstance(choice, str | int)]:
        found = "a number with a fraction" if isinstance(wrong[0], float) else "a list or mapping"
        raise SchemaError(
            [(path, f"a literal is text, a whole number or a boolean, not {found}; quote it to make it text")]
        )
    if len({(type(choice), choice) for choice in choices}) < len(choices):
        raise SchemaError([(path, "a literal is listed twice")])
    return Type("enum", optional=optional, choices=tuple(choices))


def _read_object(spec: Mapping[Any, Any], path: str, depth: int) -> Type:
    if not spec:
        raise SchemaError([(path, "needs at least one field")])
    fields: dict[str, Type] = {}
    problems: list[tuple[str, str]] = []
    for key, value in spec.items():
        try:
            name, kind = _read_field(key, value, path, depth)
            if name in fields:
                raise SchemaError([(join(path, name), "is there twice, with and without `?`")])
            fields[name] = kind
        except SchemaError as error:
            problems += error.problems
    if problems:
        raise SchemaError(problems)
    return Type("object", fields=fields)


def _read_field(key: object, spec: object, path: str, depth: int) -> tuple[str, Type]:
    if not isinstance(key, str) or not _FIELD_NAME.fullmatch(key):
        raise SchemaError([(join(path, str(key)[:40]), "a field name is text without spaces, dots or brackets")])
    name = key.removesuffix("?")
    kind = read_type(spec, join(path, name), depth + 1)
    return name, replace(kind, optional=True) if key.endswith("?") else kind


def join(path: str, name: str) -> str:
    """`a.b` of `a` and `b`; `b` alone at the top."""
    return f"{path}.{name}" if path else name
