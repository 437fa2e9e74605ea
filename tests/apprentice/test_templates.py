"""Prompt templates: what they may say, and that nothing which they may say can fail or take long."""

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apprentice.schema import compile_schema
from apprentice.templates import PromptError, check, render

SCHEMA = {
    "text": "str",
    "count": "int?",
    "tags": "list[str]?",
    "place?": {"city": "str"},
    "items": ["open", "closed"],
    "extra": "dict?",
}
NAMES = {"task": None, "description": None, "input": compile_schema(SCHEMA).root}
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)

GOOD = [
    ("{{ input.text }}", {"text": "<b>ü</b>"}, "<b>ü</b>"),
    ("{{ input['text'] }}\n", {"text": "a"}, "a\n"),
    ("{{ input | tojson }}", {"text": "ü<"}, '{"text": "ü<"}'),
    ("{{ task }}: {{ input.items }}", {"items": "open"}, "tickets: open"),
    ("[{{ input.count }}|{{ input.place.city }}|{{ input.extra.a.b }}]", {}, "[||]"),
    ("[{{ input.count }}|{{ input.place.city }}]", {"count": None, "place": None}, "[|]"),
    ("{{ input.count }} {{ input.extra }}", {"count": 3, "extra": {"a": True}}, '3 {"a": true}'),
    ("{{ input.tags | join(', ') }}", {"tags": ["a", "b"]}, "a, b"),
    ("{{ input.tags[0] }}{{ input.tags | last | upper }}{{ input.tags[7] }}", {"tags": ["a", "b"]}, "aB"),
    ("{{ input.count | default('none given') }}", {}, "none given"),
    ("{{ input.tags | tojson }}{{ input.tags | length }}", {}, "null0"),
    ("{% for tag in input.tags %}- {{ tag }}\n{% else %}none{% endfor %}", {"tags": ["a", "b"]}, "- a\n- b\n"),
    ("{% for tag in input.tags %}- {{ tag }}\n{% else %}none{% endfor %}", {}, "none"),
    ("{% for a in input.extra.b if a.ok %}{{ a.n }}{% endfor %}", {"extra": {"b": [{"ok": 1, "n": 2}, 3]}}, "2"),
    ("{% for one in input.extra.number %}{{ one }}{% endfor %}", {"extra": {"number": 5}}, ""),
    ("{% if input.count is defined and input.items == 'open' %}a{% elif true %}b{% endif %}", {"items": "open"}, "b"),
    ("{{ 'some' if input.count else 'none' }}{# a remark #}", {"count": 1}, "some"),
    ("{% raw %}{{ as it is }}{% endraw %}", {}, "{{ as it is }}"),
]  # fmt: skip


@pytest.mark.parametrize(("template", "input", "expected"), GOOD)
def test_what_a_template_may_say(template: str, input: dict[str, Any], expected: str) -> None:
    check(template, NAMES)
    assert render(template, {"task": "tickets", "description": "", "input": input}) == expected


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{{ input.txt }}", "input_schema has no field `txt`; did you mean `text`? (there are: text, count"),
        ("{{ input.place.town }}", "no field `town` (there are: city)"),
        ("{{ input.text.size }}", "no field `size` in what is text"),
        ("{{ input.text[0] }}", "needs a list, and this is text"),
        (
            "{{ inptu.text }}",
            "there is no {{ inptu }} in a prompt; did you mean `input`? (there are: description, input",
        ),
        ("{{ input.text", "is not a template"),
        ("one\ntwo {{ nothing }}\n", "line 2: there is no {{ nothing }}"),
        ("{{ input.__class__ }}", "no field `__class__`"),
        ("{{ task.__class__ }}", "no field `__class__` in what is text"),
        ("{{ input.text.upper() }}", "call is not for prompts"),
        ("{{ range(10**9) }}", "call is not for prompts"),
        ("{% for n in range(10**9) %}x{% endfor %}", "call is not for prompts"),
        ("{{ 10 ** 10 ** 10 }}", "pow is not for prompts"),
        ("{{ 'x' * 1000000000 }}", "mul is not for prompts"),
        ("{{ input.text | replace('a', 'b') }}", "no filter `replace`"),
        ("{{ input.text | uper }}", "did you mean `upper`?"),
        ("{{ input.tags | join(input.text) }}", "at most one argument, written out"),
        ("{{ input.tags | default }}", "one argument, written out"),
        ("{{ input.count is divisibleby(0) }}", "no test `is divisibleby`"),
        ("{{ input.count < input.text }}", "== and != only"),
        ("{% for a in input.text %}{% endfor %}", "a loop needs a list, and this is text"),
        ("{% for a, b in input.tags %}{% endfor %}", "a loop has one name"),
        ("{% for a in input.tags %}{{ input.text }}{% endfor %}", "inside a loop, which sees only its own item"),
        ("{% for a in input.tags %}{% for b in input.tags %}{% endfor %}{% endfor %}", "sees only its own item"),
        ("{% set a = 1 %}", "{% assign %} is not for prompts"),
        ("{% include '/etc/passwd' %}", "{% include %} is not for prompts"),
        ("{% macro a() %}{% endmacro %}", "{% macro %} is not for prompts"),
        ("{{ " + "(" * 5_000 + "1" + ")" * 5_000 + " }}", "is not a template"),
    ],
)
def test_what_it_may_not_say_is_refused_before_anything_is_rendered(template: str, words: str) -> None:
    with pytest.raises(PromptError) as caught:
        check(template, NAMES)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "template", ["{{ range(10**9) }}", "{{ 10 ** 9 }}", "{{ other }}", "{% set a = 1 %}", "{{ a", "{{ input.x() }}"]
)
def test_a_template_that_nobody_checked_is_refused_when_it_is_first_used(template: str) -> None:
    with pytest.raises(PromptError):
        render(template, {"task": "a", "input": {}})


def test_a_class_is_out_of_reach_where_any_field_may_be() -> None:
    template = "[{{ input.extra.__class__.__mro__ }}{{ input.list['__class__'] }}]"
    assert render(template, {"input": {"extra": {}, "list": []}}) == "[]"


@pytest.mark.parametrize("template", [template for template, _, _ in GOOD])
@given(input=json_values)
def test_nothing_in_a_checked_template_fails_on_any_input(template: str, input: Any) -> None:
    assert isinstance(render(template, {"task": "a", "description": "", "input": input}), str)


def test_the_work_grows_no_faster_than_the_input() -> None:
    """Nested loops over what they are in: a hundred times the input takes a hundred times as long, not ten thousand."""
    template = "{% for a in input.rows %}{% for b in a.cells %}{{ b }},{% endfor %}{% endfor %}"

    def seconds(rows: int) -> float:
        input = {"rows": [{"cells": list(range(10))}] * rows}
        best = min(_timed(template, input) for _ in range(3))
        return max(best, 1e-5)

    render(template, {"input": {}})
    assert seconds(2_000) < 1_000 * seconds(20)


def _timed(template: str, input: dict[str, Any]) -> float:
    began = time.perf_counter()
    text = render(template, {"input": input})
    assert len(text) <= 2 * len(json.dumps(input))
    return time.perf_counter() - began
