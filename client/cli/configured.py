"""The configuration as a command needs it that is about one of its tasks."""

import os
from pathlib import Path

from apprentice.config import load
from apprentice.config.errors import unknown_name
from apprentice.settings import Config
from client.cli.output import Failed


def with_task(path: Path, task: str) -> Config:
    """The configuration, which holds this task. Raises ConfigError, `Failed` (2) for a task that it lacks."""
    config = load(path, os.environ)
    require(config, path, task)
    return config


def require(config: Config, path: Path, task: str) -> None:
    """Raises `Failed` (2), with the nearest name, for a task that the configuration read from `path` lacks."""
    known = [one.name for one in config.tasks]
    if task not in known:
        raise Failed(f"{path}: {unknown_name(task, known, 'task')}")
