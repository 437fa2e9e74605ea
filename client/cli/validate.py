"""`apprentice validate`: the configuration, checked."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from apprentice.config import ConfigError, load
from apprentice.settings import Config
from client.cli import options
from client.cli.counts import counted
from client.cli.output import print_json, show


def validate(
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="Default: --config.")] = None,
    config: options.Config = options.DEFAULT_CONFIG,
    json: options.Json = False,
) -> None:
    """Check the configuration: every problem with its line. Needs no server."""
    path = file or config
    try:
        checked = load(path, os.environ)
    except ConfigError as error:
        if not json:
            raise
        print_json(_problems(path, error))
        raise typer.Exit(2) from None
    if json:
        print_json({"file": str(path), "valid": True, "tasks": [task.name for task in checked.tasks], "problems": []})
    else:
        show(f"{path} is valid: {_summary(checked)}")


def _summary(config: Config) -> str:
    tasks = [f"{task.name} ({task.remote.provider} {task.remote.model})" for task in config.tasks]
    return f"{counted(len(tasks), 'task')}: {', '.join(tasks)}"


def _problems(path: Path, error: ConfigError) -> dict[str, Any]:
    problems = [
        {"file": problem.source, "line": problem.line, "key": problem.key, "message": problem.words}
        for problem in error.problems
    ]
    return {"file": str(path), "valid": False, "tasks": [], "problems": problems}
