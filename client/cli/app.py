"""`apprentice`: its commands and the options before them."""

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated

import typer

from client.cli.lazy import LazyCommand, LazyGroup
from client.cli.options import DEFAULT_CONFIG, config_in_use
from workers.leaving import leave

COMMANDS = {
    "demo": ("demo", "See it work on this machine: no key, no GPU."),
    "init": ("init", "Write a commented apprentice.yaml; asks what it needs to know."),
    "validate": ("validate", "Check the configuration; every problem with its line."),
    "up": ("up", "Run everything on this machine: server, worker and all tasks."),
    "worker": ("worker", "Run a worker against a running server."),
    "apply": ("apply", "Start the configuration's tasks, or update those that run."),
    "run": ("run", "Answer one request."),
    "batch": ("batch", "Answer a file of requests; goes on where it was interrupted."),
    "backfill": ("backfill", "Have a file of inputs answered for training only, after telling what it may cost."),
    "status": ("status", "How all tasks stand, or everything about one."),
    "watch": ("watch", "The status, live."),
    "doctor": ("doctor", "Ask every provider and server once; says what is wrong."),
    "report": ("report", "What was saved, and at what quality."),
    "feedback": ("feedback", "Say what was right: of one answer, of a file of them, or of a fair sample."),
    "codec-server": ("codec_server", "Let Temporal's Web UI read encrypted payloads, behind a token."),
    "simulate": ("simulate", "Forecast savings from recorded traffic, without a server."),
    "force-remote": ("orders", "Send everything to the remote model, for a time or until --off."),
    "pause-coaching": ("orders", "Stop spot checks and fine-tunes, until --off."),
    "retrain": ("orders", "Start a fine-tune now."),
    "rollback": ("orders", "Let an earlier version serve again."),
    "store": ("store", "Move the store to another database."),
    "budget": ("budget", "The caps for all tasks, and who holds what; set, freeze, unfreeze."),
    "unknown": ("unknown", "List the calls of unknown outcome."),
    "reconcile": ("orders", "Settle a call of unknown outcome at what it really cost."),
    "retire": ("retire", "End a task; what it learnt stays."),
}
"""Name -> module in this package, line of help. The module has the function (or group) of that name, `_` for `-`."""

GROUPS = {"store": ["migrate"]}
"""Commands that have commands."""

app = typer.Typer(
    cls=LazyGroup,
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if not wanted:
        return
    try:
        typer.echo(f"apprentice {version('apprentice')}")
    except PackageNotFoundError:  # run from a checkout that was never installed
        typer.echo("apprentice (not installed)")
    raise typer.Exit


@app.callback()
def apprentice(
    ctx: typer.Context,
    config: Annotated[
        Path, typer.Option("--config", "-c", metavar="FILE", envvar="APPRENTICE_CONFIG", help="The configuration.")
    ] = DEFAULT_CONFIG,
    address: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="The Temporal server; overrides TEMPORAL_ADDRESS."),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """A frontier model answers first, a local model learns from it and takes over as far as quality allows.

    Exit codes: 0 done; 1 requests failed or tasks are silent; 2 bad usage or configuration; 3 no server; 130 Ctrl-C.
    """
    source = ctx.get_parameter_source("config")
    named = source is not None and source.name != "DEFAULT"
    config_in_use.set(config if named or config.exists() else None)
    ours = {"config": config, "address": address}
    ctx.default_map = {name: {**ours, **dict.fromkeys(GROUPS.get(name, ()), ours)} for name in COMMANDS}


def main() -> None:
    """The program `apprentice`."""
    group = typer.main.get_command(app)
    assert isinstance(group, LazyGroup)
    for name, (module, help) in COMMANDS.items():
        group.add_command(LazyCommand(name, f"{__package__}.{module}", help))
    try:
        group(prog_name="apprentice")
    except SystemExit as done:
        leave(done.code if isinstance(done.code, int) else 1)
