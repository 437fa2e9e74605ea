"""Output fields: the leaves of an output schema, and values that fit them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from apprentice.schema_types import Type, read_type

UNKNOWN: Final = "\0unknown"
"""A teacher's value that the schema does not allow: nothing is learned from it."""

DEFAULTS: Final[dict[str, Any]] = {"str": "", "int": 0, "float": 0.0, "bool": False, "dict": {}, "list": []}
PYTHON_TYPES: Final[dict[str, type]] = {
    "str": str,
    "int": int,
    "float": float,
    "bool": bool,
    "dict": dict,
    "list": list,
}


@dataclass(frozen=True)
class Leaf:
    """One output value.

    `presence` marks the leaf of an optional object: whether the object is there; its fields are leaves of their own.
    """

    path: tuple[str, ...]
    type: Type
    presence: bool = False

    @property
    def kind(self) -> str:
        return self.type.kind

    def value_in(self, output: Mapping[str, Any]) -> Any:
        """This leaf's value in an output as the schema wants it (a float field's 1 becomes 1.0), or UNKNOWN."""
        value: Any = output
        for name in self.path:
            value = value.get(name) if isinstance(value, Mapping) else None
        return isinstance(value, Mapping) if self.presence else conform(value, self.type)

    def allows(self, value: Any) -> bool:
        return conform(value, self.type) is not UNKNOWN

    @property
    def default(self) -> Any:
        """A valid value, for a field that no example ever had."""
        if self.type.optional:
            return None
        return self.type.choices[0] if self.kind == "enum" else DEFAULTS[self.kind]


def conform(value: Any, type_: Type) -> Any:
    """`value` in the form that `type_` wants, or UNKNOWN."""
    if value is None:
        return None if type_.optional else UNKNOWN
    if type_.kind == "enum":
        return next((choice for choice in type_.choices if choice == value and type(choice) is type(value)), UNKNOWN)
    if type_.kind == "float" and type(value) is int:
        return float(value)
    if type(value) is not PYTHON_TYPES.get(type_.kind):
        return UNKNOWN
    if isinstance(value, list) and type_.item is not None:
        items = [conform(item, type_.item) for item in value]
        return UNKNOWN if any(item is UNKNOWN for item in items) else items
    return value


def leaves(schema: Mapping[str, Any]) -> list[Leaf]:
    """All leaves of an output schema, in its order. Raises SchemaError for what the schema language lacks."""
    return _leaves(read_type(schema), ())


def _leaves(type_: Type, path: tuple[str, ...]) -> list[Leaf]:
    if type_.kind != "object":
        return [Leaf(path, type_)]
    found = [Leaf(path, Type("bool"), presence=True)] if type_.optional else []
    for name, inner in type_.fields.items():
        found += _leaves(inner, (*path, name))
    return found


def assemble(fields: list[Leaf], values: list[Any]) -> dict[str, Any]:
    """The nested output that has `values` at the fields' paths; an optional object that is not there is null."""
    output: dict[str, Any] = {}
    absent: list[tuple[str, ...]] = []
    for field, value in zip(fields, values, strict=True):
        if field.presence and not value:
            absent.append(field.path)
        elif not field.presence:
            _put(output, field.path, value)
    for path in reversed(absent):
        _put(output, path, None)
    return output


def _put(output: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    for name in path[:-1]:
        output = output.setdefault(name, {})
    output[path[-1]] = value
