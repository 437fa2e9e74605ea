"""How a task is put to a language model."""

import gc
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apprentice import prompts
from apprentice.prices import Usage, cost, estimate_tokens, reservation
from apprentice.prompts import Prompt, PromptError, build, chat, messages, problems, schema_text, version
from apprentice.settings import Price, TaskSettings

INPUT = {"text": "naïve"}
OUTPUT = {"kind": "letter"}
EXAMPLE = {"input": INPUT, "output": OUTPUT}


def task(**prompt: Any) -> TaskSettings:
    return TaskSettings.model_validate(
        {
            "name": "post",
            "description": "Sort the post",
            "input_schema": {"text": "str", "sender": "str?"},
            "output_schema": {"kind": ["letter", "parcel"]},
            "remote": {"provider": "simulated", "model": "m", "price": {"input_per_million": "1"}},
            "prompt": prompt,
        }
    )


def test_without_a_word_about_it_a_prompt_follows_from_the_task() -> None:
    settings = task()
    prompt = build(settings, INPUT)
    assert "Sort the post" in prompt.system
    assert schema_text(settings) in prompt.system
    assert json.loads(prompt.user) == INPUT
    assert prompt.turns == ()


def test_templates_and_examples_are_used_for_every_message() -> None:
    settings = task(system="{{ task }}!", template="<{{ input.text }}>{{ input.sender }}", examples=[EXAMPLE])
    assert build(settings, {"text": "a", "sender": None}) == ("post!", (("<naïve>", '{"kind": "letter"}'),), "<a>")


def test_examples_stand_before_the_input_as_turns() -> None:
    assert messages(Prompt("be good", (("q", "a"),), "now")) == [
        {"role": "system", "content": "be good"},
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": "a"},
        {"role": "user", "content": "now"},
    ]


def test_trainers_are_given_the_words_of_the_service() -> None:
    settings = task(template="<{{ input.text }}>", examples=[EXAMPLE])
    said = chat(settings, {"text": "a"}, {"kind": "parcel"})["messages"]
    assert [message["role"] for message in said] == ["system", "user", "assistant", "user", "assistant"]
    prompt = build(settings, {"text": "a"})
    assert said[0]["content"] == prompt.system
    assert tuple(message["content"] for message in said[1:3]) == prompt.turns[0]
    assert [message["content"] for message in said[3:]] == ["<a>", '{"kind": "parcel"}']


@pytest.mark.parametrize(
    "other",
    [
        {"system": "Sort!"},
        {"template": "{{ input.text }}"},
        {"examples": [EXAMPLE]},
        {"examples": [EXAMPLE, EXAMPLE]},
    ],
)
def test_a_version_names_everything_but_the_input(other: dict[str, Any]) -> None:
    assert version(task()) == version(task())
    assert version(task(**other)) == version(task(**other)) != version(task())
    assert len(version(task())) == 12


def test_a_version_follows_the_schema_and_the_description() -> None:
    base = task()
    wider = base.model_copy(update={"output_schema": {"kind": ["letter", "parcel", "card"]}})
    told = base.model_copy(update={"description": "Sort it"})
    assert len({version(base), version(wider), version(told)}) == 3


def test_what_is_kept_of_settings_goes_with_them() -> None:
    settings = task()
    build(settings, INPUT)
    before = len(prompts._known)
    del settings
    gc.collect()
    assert len(prompts._known) < before


def test_problems_name_their_place() -> None:
    bad = {"input": {"text": 3}, "output": {"kind": "card", "more": 1}}
    settings = task(system="{{ input }}", template="{{ input.txt }}", examples=[EXAMPLE, bad])
    found = dict(problems(settings))
    assert list(found) == [("system",), ("template",), ("examples", 1, "input"), ("examples", 1, "output")]
    assert "{{ input }}" in found["system",]
    assert "did you mean `text`" in found["template",]
    assert found["examples", 1, "input"] == "text: expected text"
    assert list(problems(task(template="{{ input.sender }}", examples=[EXAMPLE]))) == []


def test_a_template_that_was_never_checked_is_a_prompt_error() -> None:
    with pytest.raises(PromptError):
        build(task(template="{{ nothing }}"), INPUT)
    with pytest.raises(ValueError, match="nothing"):
        reservation(task(template="{{ nothing }}"), {})


@given(
    st.text(max_size=100),
    st.sampled_from([None, "{{ input.text }}" * 5, "{{ input | tojson }}{{ input.text | upper }}", "{{ schema }}"]),
    st.integers(0, 3),
    st.sampled_from([None, "{{ schema }} ü {{ description }}"]),
)
def test_a_reservation_is_an_upper_bound_whatever_the_template_says(
    text: str, template: str | None, examples: int, system: str | None
) -> None:
    settings = task(template=template, system=system, examples=[EXAMPLE] * examples)
    price, prompt = Price(input_per_million=Decimal(1)), build(settings, {"text": text})
    sent = [json.dumps(prompt, ensure_ascii=ascii_only) + schema_text(settings) for ascii_only in (False, True)]
    most = max(map(estimate_tokens, sent))
    assert cost(price, Usage(most, 0)) < reservation(settings, {"text": text})
