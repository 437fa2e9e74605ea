"""A configuration with some of a task's keys set to other values, as if the file said so."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from apprentice.config.merging import merge
from apprentice.config.yaml_source import Node, SourceError, dotted, read

type Changes = Mapping[str, str]
"""YAML values by dotted key of the task: {"confidence_thresholds.phase2_to_phase3": "0.9"}."""


class BadChange(ValueError):
    """A change that cannot be one; the message names its key."""


def changing(task: str, changes: Changes) -> Callable[[Node], Node]:
    """What makes these changes to a task, for `load`. A file without the task stays as it is. Raises BadChange."""
    values = {key: _value(key, text) for key, text in changes.items()}

    def change(root: Node) -> Node:
        if "tasks" not in root.mapping:
            return root
        tasks = root.mapping["tasks"]
        changed = [_changed(one, values) if _name(one) == task else one for one in tasks.items]
        return replace(root, value={**root.mapping, "tasks": replace(tasks, value=changed)})

    return change


def _name(node: Node) -> object:
    return node.mapping["name"].value if "name" in node.mapping else None


def _value(key: str, text: str) -> Node:
    if key == "name":
        raise BadChange("name: a task keeps its name")
    if not all(key.split(".")):
        raise BadChange(f"{key}: a key is names with dots between, such as confidence_thresholds.phase2_to_phase3")
    try:
        return read(text, key)
    except SourceError:
        raise BadChange(f"{key}: its value is not a YAML value, such as 0.9 or exponential") from None


def _changed(task: Node, values: Mapping[str, Node]) -> Node:
    for key, node in values.items():
        task = merge(task, _nested(task, key.split("."), node))
    return task


def _nested(task: Node, path: list[str], node: Node) -> Node:
    """A mapping with only this value in it. The places are the task's: the change itself is in no file."""
    node = replace(node, line=task.line, key=dotted(task.key, tuple(path)))
    for depth in range(len(path) - 1, -1, -1):
        key = dotted(task.key, tuple(path[:depth]))
        node = Node({path[depth]: node}, task.line, key, {path[depth]: task.line})
    return node
