"""Options and arguments that several commands share."""

from contextvars import ContextVar
from pathlib import Path
from typing import Annotated

import typer

DEFAULT_CONFIG = Path("apprentice.yaml")

# What `apprentice --config` or the environment names, or DEFAULT_CONFIG where it is there: it says how payloads travel.
# None: a client of a task that runs elsewhere has no configuration.
config_in_use: ContextVar[Path | None] = ContextVar("config_in_use", default=None)

Config = Annotated[
    Path,
    typer.Option("--config", "-c", metavar="FILE", help="The configuration (environment: APPRENTICE_CONFIG)."),
]
Address = Annotated[
    str | None,
    typer.Option("--address", metavar="HOST:PORT", help="The Temporal server; overrides TEMPORAL_ADDRESS."),
]
Json = Annotated[bool, typer.Option("--json", help="Print exactly one JSON document.")]
Task = Annotated[str, typer.Argument(metavar="TASK", help="The task's name.")]
