"""Options and arguments that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

DEFAULT_CONFIG = Path("apprentice.yaml")

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
