"""`apprentice doctor`: whether everything that the configuration names is there and works."""

import asyncio
import os

import typer
from rich.table import Table
from rich.text import Text

from apprentice.config import load
from client.cli import options
from client.cli.core_log import forward_core_log
from client.cli.output import print_json, show
from client.doctor.findings import Finding, State

MARKS = {State.OK: ("ok", "green"), State.FAILED: ("FAILED", "bold red"), State.MISSING: ("missing", "yellow")}


def doctor(
    config: options.Config = options.DEFAULT_CONFIG, json: options.Json = False, address: options.Address = None
) -> None:
    """Ask every provider and server of the configuration once, without paying; says what is wrong.

    Exit codes: 0 all is well; 1 something does not work; 2 the configuration has errors; 3 only the Temporal server is
    not there (`apprentice up` starts one).
    """
    # It looks at everything there is, so it loads everything; `--help` does not.
    from client.doctor.examination import examine

    forward_core_log()
    findings = asyncio.run(examine(load(config, os.environ), address))
    if json:
        print_json({"healthy": _code(findings) == 0, "findings": [finding.as_json() for finding in findings]})
    else:
        show(_table(findings))
    if code := _code(findings):
        raise typer.Exit(code)


def _code(findings: list[Finding]) -> int:
    states = {finding.state for finding in findings}
    return 1 if State.FAILED in states else 3 if State.MISSING in states else 0


def _table(findings: list[Finding]) -> Table:
    table = Table.grid(padding=(0, 2))
    for finding in findings:
        table.add_row(Text(*MARKS[finding.state]), finding.subject, Text(finding.words))
    return table
