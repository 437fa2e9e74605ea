"""One task as far as it can be read: what is broken is reported and left out, so that the rest is still checked."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pydantic import ValidationError

from apprentice.config.checks import check
from apprentice.config.errors import RESOLVED, Path, in_words, problem_at
from apprentice.config.merging import merge_task
from apprentice.config.surroundings import Surroundings
from apprentice.config.yaml_source import Node, Problem
from apprentice.settings import TaskSettings


@dataclass(frozen=True)
class Draft:
    """A task as far as it could be read. `settings` is None if too little of it makes sense."""

    node: Node
    settings: TaskSettings | None


def read_task(node: Node, root: Node, source: str, around: Surroundings, problems: list[Problem]) -> Draft:
    """One task, checked. What cannot be read is reported and left out, so that the rest is still checked."""
    merged = merge_task(node, root)
    data, broken = _plain(merged), set[Path]()
    for name in RESOLVED & merged.mapping.keys():
        problems.append(problem_at(source, merged, (name,), "cannot be set: it follows from the rest of the file"))
    settings: TaskSettings | None = None
    for _ in range(4):
        try:
            settings = TaskSettings.model_validate(data, strict=True)
            break
        except ValidationError as error:
            for path, _kind, words in in_words(error, TaskSettings, merged):
                if not any(path[: len(known)] == known for known in broken):
                    problems.append(problem_at(source, merged, path, words))
            broken |= {_blamed(detail["loc"]) for detail in error.errors(include_url=False)}
            data = _without(data, broken)
    if settings is not None:
        for path, words in check(settings, around):
            if not any(path[: len(known)] == known or known[: len(path)] == path for known in broken):
                problems.append(problem_at(source, merged, path, words))
    return Draft(node, settings)


def _plain(task: Node) -> Any:
    data = task.plain()
    if isinstance(data, dict):
        for name in ("input_schema", "output_schema"):
            if name in data:
                data[name] = _floats(data[name])
    return data


def _floats(value: Any) -> Any:
    """A schema is JSON, so the exact numbers of the reader become floats in it."""
    match value:
        case dict():
            return {key: _floats(item) for key, item in value.items()}
        case list():
            return [_floats(item) for item in value]
        case Decimal():
            return float(value)
    return value


def _blamed(path: Path) -> Path:
    """The part of a task to leave out for an error at `path`: no further down than where positions would shift."""
    for index, part in enumerate(path):
        if isinstance(part, int) or part == "numeric_tolerance":
            return path[: index + (part == "numeric_tolerance")]
    return path


_STAND_INS: dict[Path, Any] = {
    ("name",): "unnamed",
    ("input_schema",): {"unread": "str"},
    ("output_schema",): {"unread": "str"},
    ("remote",): {"provider": "simulated", "model": "unread"},
    ("remote", "provider"): "simulated",
    ("remote", "model"): "unread",
}


def _without(data: Any, broken: set[Path]) -> Any:
    """`data` less what is broken; what cannot be missing gets a stand-in, about which nothing more is said."""
    data = dict(data) if isinstance(data, dict) else {}
    for path in sorted(broken, key=len):
        data = _put(data, path, _STAND_INS.get(path))
    return data


def _put(data: dict[str, Any], path: Path, stand_in: Any) -> dict[str, Any]:
    if not path or not isinstance(path[0], str):
        return data
    head, rest = path[0], path[1:]
    if rest:
        below = data.get(head)
        return {**data, head: _put(below, rest, stand_in)} if isinstance(below, dict) else data
    kept = {key: value for key, value in data.items() if key != head}
    return kept if stand_in is None else {**kept, head: stand_in}
