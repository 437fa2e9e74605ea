"""`version.json` names what is inside the version's folder, and one thing only."""

import pytest
from pydantic import ValidationError

from apprentice.schema import compile_schema
from apprentice.schema_sample import sample
from apprentice.served_version import ServedVersion


def test_a_version_without_weights_of_its_own_is_the_base_model_and_its_examples() -> None:
    version = ServedVersion.model_validate(
        {"base_model": "m", "prompt_version": "p", "examples": [{"input": {"a": 1}, "output": {"b": "ü"}}]}
    )
    assert not version.trained
    assert ServedVersion.model_validate_json(version.model_dump_json()) == version


@pytest.mark.parametrize("part", ["adapter", "model"])
@pytest.mark.parametrize("path", ["", "/etc/passwd", "../other/adapter", "a/../../b"])
def test_nothing_outside_of_the_folder_can_be_named(part: str, path: str) -> None:
    with pytest.raises(ValidationError, match="inside the version's folder"):
        ServedVersion.model_validate({"base_model": "m", "prompt_version": "p", part: path})


def test_an_adapter_and_a_whole_model_together_are_refused() -> None:
    with pytest.raises(ValidationError, match="both"):
        ServedVersion(base_model="m", prompt_version="p", adapter="a", model="m.gguf")


def test_the_plainest_value_of_a_schema_fits_it() -> None:
    spec = {"a": "str", "b": {"c": "int", "d?": "str"}, "e": ["x", "y"], "f": "list[str]", "g": "dict", "h": "float?"}
    schema = compile_schema(spec)
    plainest = sample(schema.root)
    assert schema.validate(plainest) == plainest == {"a": "", "b": {"c": 0}, "e": "x", "f": [], "g": {}}
