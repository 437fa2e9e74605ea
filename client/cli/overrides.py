"""`--set KEY=VALUE`: a task's settings as they would be if the configuration said so."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
import yaml

from apprentice.config import BadChange, ConfigError, changing, load, parse
from apprentice.settings import TaskSettings
from client.cli.options import DEFAULT_CONFIG
from client.cli.output import Failed

Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="As if the task's settings said so, such as confidence_thresholds.phase2_to_phase3=0.9 (again for more).",
    ),
]
INFERRED = ("name", "input_schema", "output_schema", "evaluator")


def changes_of(given: Sequence[str] | None) -> dict[str, str]:
    """By dotted key. Raises `Failed` (2)."""
    changes: dict[str, str] = {}
    for one in given or ():
        key, equals, value = one.partition("=")
        key = key.strip()
        if not equals or not key or not value.strip():
            raise Failed(f"--set {one}: write it as KEY=VALUE, such as confidence_thresholds.phase2_to_phase3=0.9")
        if key in changes:
            raise Failed(f"--set {key} is there twice")
        changes[key] = value
    return changes


def with_changes(task: str, config: Path, changes: dict[str, str]) -> TaskSettings | None:
    """What the configuration says about a task alone, changed; None where it lacks it, or has no file by default.

    Raises ConfigError for a file that is wrong, `Failed` (2) naming the key for a change that is.
    """
    if config == DEFAULT_CONFIG and not config.exists():
        return None
    found = load(config, os.environ)
    if all(one.name != task for one in found.tasks):
        return None
    if not changes:
        return found.alone(task)
    try:
        return load(config, os.environ, changing(task, changes)).alone(task)
    except (BadChange, ConfigError) as error:
        raise _refused(error) from None


def inferred_with(settings: TaskSettings, changes: dict[str, str]) -> TaskSettings:
    """Settings that no configuration holds, changed. Raises `Failed` (2) naming the key."""
    if not changes:
        return settings
    remote = {name: getattr(settings.remote, name) for name in ("provider", "model", "traffic")}
    document = {"tasks": [{name: getattr(settings, name) for name in INFERRED} | {"remote": remote}]}
    text = yaml.safe_dump(document, allow_unicode=True, sort_keys=False)
    try:
        return parse(text, "--set", os.environ, changing(settings.name, changes)).alone(settings.name)
    except (BadChange, ConfigError) as error:
        raise _refused(error) from None


def _refused(error: BadChange | ConfigError) -> Failed:
    """The file is right without the changes: what is wrong with it now is wrong with them."""
    if isinstance(error, BadChange):
        return Failed(f"--set {error}")
    lines = [f"--set {problem.key.partition('].')[2] or problem.key}: {problem.words}" for problem in error.problems]
    return Failed("\n".join(lines))
