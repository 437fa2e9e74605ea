"""Schemas for traffic that nobody wrote a schema for: the narrowest types that every value fits."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from apprentice.schema import SchemaError
from apprentice.schema_types import join
from apprentice.settings import RemoteSettings, TaskSettings

MAX_FIELDS = 100
"""An object with more different fields is data with keys of its own, not a record: it becomes a `dict`."""
WORDS = {"str": "text", "int": "a number", "float": "a number", "bool": "true or false"}


@dataclass(frozen=True)
class Shape:
    """What was seen of one field. `kind` is a type of the schema language or "object"; None where only null was."""

    kind: str | None = None
    optional: bool = False
    fields: Mapping[str, "Shape"] = field(default_factory=dict)

    @classmethod
    def of(cls, value: object) -> "Shape":
        """The shape of one value."""
        match value:
            case None:
                return cls(optional=True)
            case list():
                kinds = {type(item).__name__ for item in value}
                return cls(f"list[{kinds.pop()}]" if len(kinds) == 1 and kinds <= WORDS.keys() else "list")
            case Mapping() if 0 < len(value) <= MAX_FIELDS:
                return cls("object", fields={name: cls.of(item) for name, item in value.items()})
            case Mapping():
                return cls("dict")
        return cls(type(value).__name__)

    def merged(self, other: "Shape", path: str) -> "Shape":
        """The narrowest shape that both fit. Raises SchemaError if nothing but any JSON would do."""
        optional = self.optional or other.optional
        if self.kind is None or other.kind is None or (self.kind == other.kind and self.kind != "object"):
            known = self if other.kind is None else other
            return replace(known, optional=optional)
        kinds = {self.kind, other.kind}
        if kinds == {"object"}:
            fields = self._merged_fields(other, path)
            return Shape("object" if len(fields) <= MAX_FIELDS else "dict", optional, fields)
        if kinds == {"int", "float"}:
            return Shape("float", optional)
        if kinds == {"object", "dict"}:
            return Shape("dict", optional)
        if all(kind.startswith("list") for kind in kinds):
            return Shape("list", optional)
        names = " in one row and ".join(sorted(WORDS.get(kind, f"a {kind.partition('[')[0]}") for kind in kinds))
        raise SchemaError([(path, f"is {names} in another: no type of the schema language fits both")])

    def _merged_fields(self, other: "Shape", path: str) -> dict[str, "Shape"]:
        absent = Shape(optional=True)
        return {
            name: self.fields.get(name, absent).merged(other.fields.get(name, absent), join(path, name))
            for name in {**self.fields, **other.fields}
        }

    def spec(self) -> Any:
        """The type in the schema language, but for an object's own `?`, which stands at its field name."""
        if self.kind == "object":
            return self.specs()
        return f"{self.kind or 'str'}{'?' if self.optional else ''}"

    def specs(self) -> dict[str, Any]:
        """The fields of an object."""
        return {
            f"{name}?" if shape.kind == "object" and shape.optional else name: shape.spec()
            for name, shape in self.fields.items()
        }


def infer_schema(values: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The schema of some objects; text is `str`, however few different texts there are.

    A field that is null or missing somewhere is optional, whole numbers and fractions together are `float`, a field
    that was null everywhere is `str?`. Raises SchemaError naming a field that is of two kinds (text here, a number
    there), and when there is nothing to infer from.
    """
    merged: Shape | None = None
    for value in values:
        shape = Shape("object", fields={name: Shape.of(item) for name, item in value.items()})
        merged = shape if merged is None or merged == shape else merged.merged(shape, "")
    if merged is None or not merged.fields:
        raise SchemaError([("", "there are no fields to infer a schema from")])
    return merged.specs()


def infer_settings(
    name: str, inputs: Sequence[Mapping[str, Any]], outputs: Sequence[Mapping[str, Any]], remote: RemoteSettings
) -> TaskSettings:
    """Settings of a task from its recorded traffic.

    One output field is compared as a whole (`exact_match`), several one by one (`structured_match`); all else is
    the default. Raises SchemaError.
    """
    schemas = {}
    for key, values in (("input", inputs), ("output", outputs)):
        try:
            schemas[key] = infer_schema(values)
        except SchemaError as error:
            raise SchemaError([(join(key, path) if path else key, words) for path, words in error.problems]) from None
    return TaskSettings(
        name=name,
        input_schema=schemas["input"],
        output_schema=schemas["output"],
        evaluator="exact_match" if len(schemas["output"]) == 1 else "structured_match",
        remote=remote,
    )
