"""`apprentice simulate --from-journal`: what other settings would have cost and served, as the store tells."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from rich.box import SIMPLE
from rich.table import Table
from rich.text import Text

from activities.store.remembering import remembered
from apprentice.settings import TaskSettings
from apprentice.whatif import Figures, Side, WhatIf, what_if
from client.cli import overrides
from client.cli.configured import with_task
from client.cli.counts import counted
from client.cli.figures import percent
from client.cli.output import Failed, note, print_json, show
from client.cli.status_view import money

POLICY = ("confidence_thresholds", "quality", "sampling", "budget", "allowance", "alerts")
"""Blocks that decide who answers. Under others the models would have answered otherwise, which no journal tells."""


def answer(
    task: str,
    traffic: Path | None,
    only_traffic: Mapping[str, object],
    changes: dict[str, str],
    config: Path,
    *,
    seed: int,
    json: bool,
) -> None:
    """Print both policies side by side. Raises ConfigError, StoreError, `Failed` (2)."""
    if traffic is not None:
        raise Failed(f"--from-journal takes the requests from the store: leave {traffic} out, or --from-journal")
    for option, value in only_traffic.items():
        if value is not None:
            raise Failed(f"{option} goes with TRAFFIC.jsonl, not with --from-journal")
    loaded = with_task(config, task)
    settings = _settings(task, config, changes)
    memory = remembered(loaded.store.url, task)
    if not memory.log.requests:
        raise Failed(f"the store remembers no request of task {task!r}: nothing to work out another policy from")
    found = what_if(settings, memory.log, memory.input, seed)
    if json:
        print_json(as_json(task, changes, settings, found))
        return
    shown = ", ".join(f"{key}={value}" for key, value in changes.items()) or f"the settings of {config}"
    show(Text(f"{task}: {counted(len(memory.log.requests), 'request')} of the journal, under {shown}", style="bold"))
    show(table(found, settings.budget.currency))
    for line in remarks(found):
        note(line)


def _settings(task: str, config: Path, changes: dict[str, str]) -> TaskSettings:
    # A key that does not exist is said to be unknown first.
    settings = overrides.with_changes(task, config, changes)
    assert settings is not None
    for key in changes:
        if key.partition(".")[0] not in POLICY:
            raise Failed(
                f"--set {key}: the journal holds answers of the models and prompts as they were, so it can say nothing "
                f"of others; only of {', '.join(POLICY[:-1])}. Recorded traffic can: `apprentice simulate {task} "
                f"TRAFFIC.jsonl --set {key}=...`"
            )
    return settings


# --- what comes out --------------------------------------------------------------------------------------------


def as_json(task: str, changes: Mapping[str, str], settings: TaskSettings, found: WhatIf) -> dict[str, Any]:
    """Numbers only, but for the names. An interval is {mean, low, high}; null where the log cannot say."""
    return {
        "task": task,
        "set": dict(changes),
        "requests": found.logged.requests,
        "currency": settings.budget.currency,
        "all_remote": _interval(found.all_remote),
        "logged": _side(found.logged),
        "what_if": _side(found.other) | {"evidence_drawn": found.drawn},
    }


def _side(side: Side) -> dict[str, Any]:
    return {
        "remote_calls": _interval(side.remote_calls),
        "cost": _interval(side.cost),
        "local_share": side.local_share,
        "failed": side.failed,
        "agreement": _interval(side.agreement),
        "local_agreement": _interval(side.local_agreement),
        "compared": side.compared,
        "unsupported": side.unsupported,
    }


def _interval(figures: Figures | None) -> dict[str, float | None] | None:
    if figures is None:
        return None
    high = figures.high if figures.high != float("inf") else None
    return {"mean": figures.mean, "low": figures.low, "high": high}


def table(found: WhatIf, currency: str) -> Table:
    """A figure a line: the policy that ran, then the other one."""
    lines = Table(box=SIMPLE, pad_edge=False)
    lines.add_column("", style="dim", no_wrap=True)
    lines.add_column("as it was", no_wrap=True)
    lines.add_column("what if", no_wrap=True)
    sides = found.logged, found.other
    lines.add_row("remote calls", *(_range(side.remote_calls, _whole) for side in sides))
    lines.add_row("cost", *(_range(side.cost, lambda amount: _money(amount, currency)) for side in sides))
    lines.add_row("all remote", "", _range(found.all_remote, lambda amount: _money(amount, currency)))
    lines.add_row("served locally", *(percent(side.local_share) for side in sides))
    lines.add_row("agreement", *(_range(side.agreement, percent) for side in sides))
    lines.add_row("of local answers", *(_range(side.local_agreement, percent) for side in sides))
    lines.add_row("compared", *(f"{side.compared:,}" for side in sides))
    lines.add_row("failed", *(_whole(side.failed) for side in sides))
    lines.add_row("not supported", *(f"{side.unsupported:.1%} of requests" for side in sides))
    return lines


def remarks(found: WhatIf) -> list[str]:
    """What has to be known to read the figures."""
    said = ["the versions are those that were trained, when they were; intervals are 95%"]
    for side, whose in ((found.logged, "as it was"), (found.other, "what if")):
        if side.unsupported > 0:
            said.append(
                f"{whose}: of {side.unsupported:.1%} of the requests the journal cannot say how the local answer "
                "agrees, as nothing like them was compared; they are in no figure of agreement"
            )
    if found.drawn > 0.1:
        said.append(
            f"{found.drawn:.0%} of the comparisons that would have moved the task are not in the journal; "
            "they were drawn from those that are"
        )
    return said


def _range(figures: Figures | None, shown: Callable[[float], str]) -> str:
    if figures is None:
        return "-"
    if figures.low == figures.high:
        return shown(figures.mean)
    high = "?" if figures.high == float("inf") else shown(figures.high)
    return f"{shown(figures.mean)} ({shown(figures.low)} to {high})"


def _whole(value: float) -> str:
    return f"{value:,.0f}"


def _money(value: float, currency: str) -> str:
    return money(Decimal(str(round(value, 9))), currency)
