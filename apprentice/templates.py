"""Prompt templates: a small part of Jinja that is checked whole when it is read, and cannot fail afterwards.

    {{ input.text }}  {{ input.tags | join(", ") }}  {{ input | tojson }}
    {% if input.order is defined and input.order.state == "open" %} ... {% else %} ... {% endif %}
    {% for message in input.messages %}{{ message.role }}: {{ message.text }}{% endfor %}

A template is rendered inside a workflow for every request, where an error or a second of work would hold up the task.
So there are no calls, no arithmetic and no assignments; what is absent or null is empty text; and a loop sees the item
that it is at and nothing else, so that the work is never more than the input is long, times the length of the template.
"""

import json
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, cast

from jinja2 import ChainableUndefined, TemplateError, nodes
from jinja2 import Template as Compiled
from jinja2.sandbox import ImmutableSandboxedEnvironment

from apprentice.schema_types import Type

SHOWN = 60


class PromptError(ValueError):
    """A template that cannot be read, or that wants what there is not; the message says what."""


def render(text: str, values: Mapping[str, Any]) -> str:
    """The template with these values filled in. Raises PromptError for one that `check` refuses, and no other."""
    return _compiled(text, tuple(values)).render(values)


def check(text: str, names: Mapping[str, Type | None]) -> None:
    """Whether a template can be read and knows all its names, each with its type (None: text). Raises PromptError."""
    _read(text, names)


def _read(text: str, names: Mapping[str, Type | None]) -> nodes.Template:
    try:
        tree = _environment.parse(text)
        _Reader(names).body(tree.body, dict(names))
        return tree
    except (TemplateError, RecursionError) as error:
        raise PromptError(f"is not a template: {error}") from None
    except _Problem as problem:
        line = f"line {problem.line}: " if "\n" in text.strip("\n") else ""
        raise PromptError(f"{line}{problem}") from None


# --- checking --------------------------------------------------------------------------------------------------

_ANY = Type("dict")
_TEXT = Type("str")
_WORDS = {"object": "an object", "dict": "an object", "list": "a list", "str": "text", "bool": "true or false"}
# How many arguments each takes.
_FILTERS = {
    "default": (1, 1),
    "first": (0, 0),
    "join": (0, 1),
    "last": (0, 0),
    "length": (0, 0),
    "lower": (0, 0),
    "tojson": (0, 0),
    "trim": (0, 0),
    "upper": (0, 0),
}
_TESTS = ("defined", "none", "undefined")


class _Problem(Exception):
    def __init__(self, node: nodes.Node, message: str) -> None:
        super().__init__(message)
        self.line = node.lineno


class _Reader:
    """Walks a template. A scope says what each name is; an expression's type is `_ANY` where nobody can tell."""

    def __init__(self, names: Mapping[str, Type | None]) -> None:
        self._names = names

    def body(self, body: list[nodes.Node], scope: Mapping[str, Type | None]) -> None:
        for node in body:
            match node:
                case nodes.Output():
                    for each in node.nodes:
                        self.expression(each, scope)
                case nodes.If():
                    self.expression(node.test, scope)
                    self.body([*node.body, *node.elif_, *node.else_], scope)
                case nodes.For():
                    self.loop(node, scope)
                case _:
                    raise _Problem(node, f"{{% {type(node).__name__.lower()} %}} is not for prompts (only if and for)")

    def loop(self, node: nodes.For, scope: Mapping[str, Type | None]) -> None:
        listed = self.expression(node.iter, scope)
        if not isinstance(node.target, nodes.Name) or node.recursive:
            raise _Problem(node, "a loop has one name: {% for item in input.FIELD %}")
        if listed is not _ANY and listed.kind != "list":
            raise _Problem(node, f"a loop needs a list, and this is {_WORDS.get(listed.kind, 'a number')}")
        inside = {node.target.name: listed.item or _ANY}
        if node.test is not None:
            self.expression(node.test, inside)
        self.body(node.body, inside)
        self.body(node.else_, scope)
        # Whatever a free-form field holds: what is no list has no items.
        node.iter = nodes.Filter(node.iter, "each", [], [], None, None, lineno=node.lineno)

    def expression(self, node: nodes.Node, scope: Mapping[str, Type | None]) -> Type:
        match node:
            case nodes.TemplateData() | nodes.Const():
                return _ANY
            case nodes.Name():
                return self.name(node, scope)
            case nodes.Getattr():
                return self.part(node, node.attr, self.expression(node.node, scope))
            case nodes.Getitem(arg=nodes.Const(value=str() | int() as key)):
                return self.part(node, key, self.expression(node.node, scope))
            case nodes.Filter():
                return self.filter(node, scope)
            case nodes.Test():
                if node.name not in _TESTS or node.args or node.kwargs:
                    raise _Problem(node, f"there is no test `is {node.name[:SHOWN]}` (there are: {', '.join(_TESTS)})")
            case nodes.Compare():
                if any(each.op not in ("eq", "ne") for each in node.ops):
                    raise _Problem(node, "values are compared by == and != only")
            case nodes.And() | nodes.Or() | nodes.Not() | nodes.CondExpr() | nodes.Operand():
                pass
            case _:
                raise _Problem(node, f"{type(node).__name__.lower()} is not for prompts: no calls, no calculations")
        for child in node.iter_child_nodes():
            self.expression(child, scope)
        return _ANY

    def name(self, node: nodes.Name, scope: Mapping[str, Type | None]) -> Type:
        if node.name in scope:
            return scope[node.name] or _TEXT
        shown = f"{{{{ {node.name[:SHOWN]} }}}}"
        if node.name in self._names:
            raise _Problem(node, f"{shown} is not there inside a loop, which sees only its own item")
        known = ", ".join(sorted(scope))
        raise _Problem(node, f"there is no {shown} in a prompt{_near(node.name, list(scope))} (there are: {known})")

    def part(self, node: nodes.Node, key: str | int, whole: Type) -> Type:
        if whole is _ANY or whole.kind == "dict" or (whole.kind == "list" and whole.item is None):
            return _ANY
        if isinstance(key, int):
            if whole.kind != "list":
                raise _Problem(node, f"[{key}] needs a list, and this is {_WORDS.get(whole.kind, 'a number')}")
            return whole.item or _ANY
        if whole.kind != "object":
            words = _WORDS.get(whole.kind, "a number")
            raise _Problem(node, f"there is no field `{key[:SHOWN]}` in what is {words}")
        if key not in whole.fields:
            near, known = _near(key, list(whole.fields)), ", ".join(whole.fields)
            raise _Problem(node, f"input_schema has no field `{key[:SHOWN]}`{near} (there are: {known})")
        return whole.fields[key]

    def filter(self, node: nodes.Filter, scope: Mapping[str, Type | None]) -> Type:
        least, most = _FILTERS.get(node.name, (0, -1))
        if most < 0:
            near, known = _near(node.name, list(_FILTERS)), ", ".join(_FILTERS)
            raise _Problem(node, f"there is no filter `{node.name[:SHOWN]}`{near} (there are: {known})")
        constant = all(isinstance(each, nodes.Const) for each in node.args)
        if node.node is None or not least <= len(node.args) <= most or not constant or node.kwargs:
            raise _Problem(node, f"the filter `{node.name}` takes {_number(least, most)}, written out")
        if node.dyn_args is not None or node.dyn_kwargs is not None:
            raise _Problem(node, f"the filter `{node.name}` takes {_number(least, most)}, written out")
        of = self.expression(node.node, scope)
        return of.item or _ANY if node.name in ("first", "last") and of.kind == "list" else _ANY


def _number(least: int, most: int) -> str:
    return "no argument" if most == 0 else "one argument" if least == most else "at most one argument"


def _near(word: str, known: list[str]) -> str:
    near = get_close_matches(word, known, n=1, cutoff=0.6)
    return f"; did you mean `{near[0]}`?" if near else ""


# --- rendering: nothing here fails, whatever the values are ----------------------------------------------------


def _text(value: Any) -> str:
    """Text as it is, nothing for what is not there, anything else as JSON."""
    if isinstance(value, str):
        return value
    return "" if _absent(value) else json.dumps(value, ensure_ascii=False)


def _absent(value: Any) -> bool:
    return value is None or isinstance(value, ChainableUndefined)


def _end(value: Any, at: int) -> Any:
    return value[at] if isinstance(value, str | list) and value else None


def _join(value: Any, between: Any = "") -> str:
    return _text(between).join(map(_text, value)) if isinstance(value, list) else _text(value)


_RENDERED: dict[str, Callable[..., Any]] = {
    "default": lambda value, other: other if _absent(value) else value,
    "each": lambda value: value if isinstance(value, list) else [],
    "first": lambda value: _end(value, 0),
    "join": _join,
    "last": lambda value: _end(value, -1),
    "length": lambda value: len(value) if isinstance(value, str | list | dict) else 0,
    "lower": lambda value: _text(value).lower(),
    "tojson": lambda value: json.dumps(None if _absent(value) else value, ensure_ascii=False),
    "trim": lambda value: _text(value).strip(),
    "upper": lambda value: _text(value).upper(),
}


class _Environment(ImmutableSandboxedEnvironment):
    """Looks into JSON and nowhere else: a field called `items` is a field, and `__class__` is none."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        return self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        found = None
        if isinstance(obj, dict) and isinstance(argument, str):
            found = obj.get(argument)
        elif isinstance(obj, list) and type(argument) is int and -len(obj) <= argument < len(obj):
            found = obj[argument]
        return self.undefined() if found is None else found


_environment = _Environment(
    undefined=ChainableUndefined, autoescape=False, keep_trailing_newline=True, finalize=_text, optimized=False
)
_environment.globals.clear()
_environment.filters = cast(Any, _RENDERED)
_environment.tests = {
    "defined": lambda value: not _absent(value),
    "none": _absent,
    "undefined": _absent,
}


@lru_cache(maxsize=256)
def _compiled(text: str, names: tuple[str, ...]) -> Compiled:
    """Also of a template that nobody checked, but for its fields: those that an input does not have are empty text."""
    tree = _read(text, {name: _ANY if name == "input" else None for name in names})
    return Compiled.from_code(_environment, _environment.compile(tree), {}, None)
