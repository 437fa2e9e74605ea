"""The output schema as providers take it: strict where they can, and still the same values."""

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from activities.remote.wire_schema import MOST_CHOICES, MOST_FIELDS, MOST_LEVELS, wire_schema
from apprentice.schema import compile_schema
from tests.activities.remote.cases import SCHEMAS, corner_cases
from tests.activities.remote.conftest import make_settings


def sent(schema: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    return wire_schema(make_settings(output_schema=schema))


def parts(schema: dict[str, Any]) -> list[dict[str, Any]]:
    """The schema and all that is in it."""
    inside = [*schema.get("anyOf", ()), *schema.get("properties", {}).values()]
    inside += [schema["items"]] if "items" in schema else []
    return [schema, *(part for one in inside for part in parts(one))]


@corner_cases
def test_an_answer_of_the_task_fits_what_is_sent(case: str) -> None:
    schema, output = SCHEMAS[case]
    Draft202012Validator(sent(schema)[0]).validate(output)


@corner_cases
def test_strict_schemas_are_as_strict_decoding_wants_them(case: str) -> None:
    schema, strict = sent(SCHEMAS[case][0])
    assert strict is not case.startswith("free")
    for part in parts(schema) if strict else ():
        assert "type" in part or "anyOf" in part
        if part.get("type") == "object":
            assert part["required"] == list(part["properties"])
            assert part["additionalProperties"] is False


def test_choices_of_several_types_stay_the_same_choices() -> None:
    validator = Draft202012Validator(sent({"kind": ["x", 1, True]})[0])
    for value in ("x", 1, True, "y", 2, False, "1", None):
        fits = (type(value), value) in {(str, "x"), (int, 1), (bool, True)}
        assert validator.is_valid({"kind": value}) is fits


def nested(levels: int) -> Any:
    return {"a": nested(levels - 1)} if levels else "str"


@pytest.mark.parametrize(
    ("schema", "strict"),
    [
        (nested(MOST_LEVELS), True),
        (nested(MOST_LEVELS + 1), False),
        ({"kind": [f"c{n}" for n in range(MOST_CHOICES)]}, True),
        ({"kind": [f"c{n}" for n in range(MOST_CHOICES + 1)]}, False),
        ({"kind": [f"{n:060}" for n in range(251)]}, False),
        ({"kind": [f"{n:060}" for n in range(249)]}, True),
        ({f"f{n}": "int" for n in range(MOST_FIELDS)}, True),
        ({f"f{n}": "int" for n in range(MOST_FIELDS + 1)}, False),
        ({f"{n:0100}": "int" for n in range(1_201)}, False),
    ],
)
def test_what_passes_the_limits_of_strict_decoding_is_sent_as_it_is(schema: dict[str, Any], strict: bool) -> None:
    """A provider would refuse every request; the answer is checked against the schema in any case."""
    found, enforced = sent(schema)
    assert enforced is strict
    assert strict or found == compile_schema(schema).json_schema()
