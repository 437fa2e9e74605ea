"""YAML as a tree whose every value knows its line and its dotted key, so that an error can say where it is.

Scalars follow YAML 1.2, not 1.1: `no` is text (a category named `no` stays one), `010` is ten, `1:30` and dates are
text. A number with a fraction becomes a Decimal of exactly what is written, never a float.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import yaml

MAX_CHARACTERS = 2_000_000
MAX_NODES = 100_000
MAX_DEPTH = 40

_NULL = re.compile(r"~|null|Null|NULL|")
_TRUE = re.compile(r"true|True|TRUE")
_FALSE = re.compile(r"false|False|FALSE")
_INT = re.compile(r"[-+]?[0-9]{1,40}")
_FLOAT = re.compile(r"[-+]?(?:[0-9]{1,40}\.[0-9]{0,40}|\.[0-9]{1,40}|[0-9]{1,40}(?=[eE]))(?:[eE][-+]?[0-9]{1,2})?")
_PLAIN, _TEXT = "plain", "tag:yaml.org,2002:str"
_MAPPING, _SEQUENCE = "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"

Scalar = str | int | bool | Decimal | None


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong in a file. `key` is dotted, with list positions: `tasks[0].name`."""

    source: str
    line: int
    key: str
    words: str

    def __str__(self) -> str:
        return f"{self.source}:{self.line}: {self.key + ': ' if self.key else ''}{self.words}"


class SourceError(ValueError):
    """The text is not YAML that we take. `problems` says why, by line."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__("\n".join(map(str, problems)))


@dataclass(frozen=True)
class Node:
    """A value and where it is written. `value` is a scalar, a list of nodes or a dict of nodes by key."""

    value: "Scalar | list[Node] | dict[str, Node]"
    line: int
    key: str
    key_lines: dict[str, int] = field(default_factory=dict)

    @property
    def mapping(self) -> "dict[str, Node]":
        """The nodes by key; empty if this is no mapping."""
        return self.value if isinstance(self.value, dict) else {}

    @property
    def items(self) -> "list[Node]":
        """The nodes of a list; empty if this is none."""
        return self.value if isinstance(self.value, list) else []

    def plain(self) -> Any:
        """The value without places: str, int, bool, Decimal, None, lists and dicts of them."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value

    def locate(self, path: tuple[str | int, ...]) -> tuple[int, str]:
        """Line and dotted key of the value at `path` below this node; of the nearest one that is written, if not."""
        if not path:
            return self.line, self.key
        head, rest = path[0], path[1:]
        if isinstance(head, str) and head in self.mapping:
            line, key = self.mapping[head].locate(rest)
            return (line, key) if rest else (self.key_lines.get(head, line), key)
        if isinstance(head, int) and head < len(self.items):
            return self.items[head].locate(rest)
        return self.line, dotted(self.key, path)


def dotted(key: str, path: tuple[str | int, ...]) -> str:
    """`a[0].b` of `a` and `(0, "b")`."""
    for part in path:
        key = f"{key}[{part}]" if isinstance(part, int) else f"{key}.{part}" if key else part
    return key


def read(text: str, source: str) -> Node:
    """The tree of one YAML document. Raises SourceError: bad syntax, a duplicate key, a blow-up by aliases."""
    if len(text) > MAX_CHARACTERS:
        raise SourceError([Problem(source, 1, "", f"longer than {MAX_CHARACTERS:,} characters")])
    try:
        root = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        words = " ".join(part for part in (error.context, error.problem) if part)
        # `error` itself quotes the line, and a line may hold a secret.
        raise SourceError([Problem(source, mark.line + 1 if mark else 1, "", f"not valid YAML: {words}")]) from None
    except yaml.YAMLError as error:
        position = getattr(error, "position", 0) or 0
        line = text.count("\n", 0, position) + 1
        raise SourceError([Problem(source, line, "", "not valid YAML: a character that is not allowed")]) from None
    except RecursionError:
        raise SourceError([Problem(source, 1, "", "nested too deep")]) from None
    if root is None:
        raise SourceError([Problem(source, 1, "", "the file is empty")])
    reader = _Reader(source)
    node = reader.node(root, "", 0)
    if reader.problems:
        raise SourceError(reader.problems)
    return node


class _Loader(yaml.SafeLoader):
    """Leaves plain scalars unresolved (PyYAML knows only 1.1) and marks them, so that a written tag is seen as one."""

    def resolve(self, kind: type[yaml.Node], value: Any, implicit: Any) -> str:
        if kind is yaml.ScalarNode:
            return _PLAIN if implicit[0] else _TEXT
        return _MAPPING if kind is yaml.MappingNode else _SEQUENCE


class _Reader:
    """Turns composed YAML nodes into ours, with a budget of nodes: aliases can stand for more than memory holds."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.problems: list[Problem] = []
        self.count = 0

    def node(self, node: yaml.Node, key: str, depth: int) -> Node:
        self.count += 1
        line = node.start_mark.line + 1
        if self.count > MAX_NODES:
            words = f"more than {MAX_NODES:,} values once aliases are expanded"
            raise SourceError([*self.problems, Problem(self.source, line, key, words)])
        if depth > MAX_DEPTH:
            words = f"nested deeper than {MAX_DEPTH} levels (an alias inside of what it names?)"
            raise SourceError([*self.problems, Problem(self.source, line, key[:MAX_DEPTH], words)])
        if node.tag not in (_PLAIN, _TEXT, _MAPPING, _SEQUENCE):
            self.problems.append(Problem(self.source, line, key, "tags (`!…`) are not supported"))
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, key, depth)
        if isinstance(node, yaml.SequenceNode):
            items = [self.node(item, f"{key}[{index}]", depth + 1) for index, item in enumerate(node.value)]
            return Node(items, line, key)
        return Node(self.scalar(node), line, key)

    def mapping(self, node: yaml.MappingNode, key: str, depth: int) -> Node:
        merged: list[Node] = []
        own: dict[str, Node] = {}
        lines: dict[str, int] = {}
        for name_node, value_node in node.value:
            line = name_node.start_mark.line + 1
            name = name_node.value if isinstance(name_node, yaml.ScalarNode) else None
            if name is None:
                self.problems.append(Problem(self.source, line, key, "a key must be text"))
            elif name in own:
                words = f"duplicate key, first used in line {lines[name]}"
                self.problems.append(Problem(self.source, line, dotted(key, (name,)), words))
            elif name == "<<" and name_node.style is None:
                merged += self.merged(value_node, key, depth)
            else:
                own[name], lines[name] = self.node(value_node, dotted(key, (name,)), depth + 1), line
        for base in merged:
            for name, value in base.mapping.items():
                own.setdefault(name, value)
                lines.setdefault(name, base.key_lines[name])
        return Node(own, node.start_mark.line + 1, key, lines)

    def merged(self, node: yaml.Node, key: str, depth: int) -> Iterator[Node]:
        bases = node.value if isinstance(node, yaml.SequenceNode) else [node]
        for base in bases:
            if isinstance(base, yaml.MappingNode):
                yield self.node(base, key, depth + 1)
            else:
                line = node.start_mark.line + 1
                self.problems.append(Problem(self.source, line, key, "`<<` takes a mapping or a list of them"))

    def scalar(self, node: yaml.Node) -> Scalar:
        text: str = node.value
        return _plain(text) if node.tag == _PLAIN else text


def _plain(text: str) -> Scalar:
    if _NULL.fullmatch(text):
        return None
    if _TRUE.fullmatch(text):
        return True
    if _FALSE.fullmatch(text):
        return False
    if _INT.fullmatch(text):
        return int(text)
    return Decimal(text) if _FLOAT.fullmatch(text) else text
