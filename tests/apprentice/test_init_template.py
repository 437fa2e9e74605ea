"""The file that `apprentice init` writes is one that `apprentice` loads."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apprentice.config import parse
from apprentice.init_template import InitAnswers, render
from apprentice.schema import SchemaError
from apprentice.settings import Config, TaskSettings


def config_of(answers: InitAnswers, **environ: str) -> Config:
    return parse(render(answers), "apprentice.yaml", environ)


def task_of(answers: InitAnswers, **environ: str) -> TaskSettings:
    return config_of(answers, **environ).tasks[0]


def answers(**changes: Any) -> InitAnswers:
    given: dict[str, Any] = {
        "name": "sort_mail",
        "description": "Sort the mail",
        "input_fields": {"text": "str"},
        "output_fields": {"kind": ["letter", "parcel"], "weight?": "float"},
    }
    return InitAnswers(**given | changes)


def test_what_is_rendered_loads_with_what_was_answered() -> None:
    task = task_of(answers())
    assert (task.name, task.description) == ("sort_mail", "Sort the mail")
    assert task.output_schema == {"kind": ["letter", "parcel"], "weight?": "float"}
    assert task.match_fields == ["kind", "weight"]
    budget = config_of(answers()).budget
    assert budget is not None
    assert budget.daily == Decimal("10.00")


def test_a_provider_with_a_key_and_traffic_loads(tmp_path: Any) -> None:
    traffic = tmp_path / "my traffic #1.jsonl"
    traffic.write_text("")
    chosen = answers(provider="recorded", model="gpt-4o", traffic=str(traffic), api_key_env="MY_KEY", daily_cap=None)
    task = task_of(chosen, MY_KEY="k")
    assert (task.remote.traffic, task.remote.api_key_env) == (str(traffic), "MY_KEY")
    assert task.shared_budget is None


def test_every_block_is_explained() -> None:
    lines = render(answers()).splitlines()
    for block in ("remote:", "local:", "sampling:", "budget:"):
        assert lines[lines.index(block) - 1].startswith("# ")


def test_malformed_fields_are_refused() -> None:
    with pytest.raises(SchemaError, match="text: unknown type 'string'"):
        render(answers(input_fields={"text": "string"}))


@given(
    st.text(max_size=40),
    st.lists(st.text(min_size=1, max_size=8) | st.integers(), min_size=1, unique_by=lambda x: (type(x), x)),
    st.text(
        alphabet=st.characters(codec="ascii", exclude_characters=" .?[]", categories=["L", "N", "P", "S"]), min_size=1
    ),
)
def test_any_text_survives_the_file(description: str, literals: list[str | int], field: str) -> None:
    task = task_of(answers(description=description, output_fields={field: literals}))
    assert task.description == description
    assert task.output_schema == {field: literals}
