"""What is said of a run: a table for people, JSON for machines."""

import itertools
import statistics
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from pydantic import BaseModel
from rich.console import Console
from rich.table import Table

LONG = 8.0


class Recovery(BaseModel):
    """Seconds from a fault to the next reply that any caller got, and the longest silence soon after it."""

    fault: str
    times: int
    median: float
    longest: float
    silence_median: float
    silence_longest: float


class Report(BaseModel):
    """`overcounted`: counted by the task beyond the journal (calls that were thought lost, and came later)."""

    seed: int
    store: str
    seconds: float
    faults: dict[str, int]
    requests: int
    sendings: int
    answers: int
    local: int
    degraded: int
    errors: dict[str, int]
    lost: int
    paid_calls: int
    journal: dict[str, int]
    paid_twice: int
    billed: Decimal
    journaled: Decimal
    counted: Decimal
    cap_first: Decimal
    cap_last: Decimal
    cap_raised: int
    looks: int
    overspent: int
    phases: list[int]
    runs: int
    versions: list[str]
    worker_exits: list[int]
    recovery: list[Recovery]
    silences: list[str]
    violations: list[str]


def recovery(moments: Sequence[tuple[str, float]], replies: Sequence[float], within: float = 15.0) -> list[Recovery]:
    """For each kind of fault: the pause after it. `replies` are the moments, in order, at which callers heard."""
    pauses: dict[str, list[tuple[float, float]]] = {}
    for name, moment in moments:
        after = [reply for reply in replies if reply > moment]
        if not after:
            continue
        soon = [moment, *(reply for reply in after if reply <= moment + within)]
        silence = max([b - a for a, b in itertools.pairwise(soon)] or [after[0] - moment])
        pauses.setdefault(name, []).append((after[0] - moment, silence))
    return [
        Recovery(
            fault=name,
            times=len(found),
            median=round(statistics.median(first for first, _ in found), 2),
            longest=round(max(first for first, _ in found), 2),
            silence_median=round(statistics.median(silence for _, silence in found), 2),
            silence_longest=round(max(silence for _, silence in found), 2),
        )
        for name, found in sorted(pauses.items())
    ]


def silences(began: float, timeline: Sequence[tuple[float, str]], replies: Sequence[float]) -> list[str]:
    """Where no caller heard anything for over LONG seconds, and what happened from a little before to its end."""
    found = []
    for last, following in itertools.pairwise(replies):
        if following - last > LONG:
            events = [f"{at - began:.1f} {name}" for at, name in timeline if last - LONG < at < following]
            found.append(f"{last - began:.1f} to {following - began:.1f}: {'; '.join(events)}")
    return found


def show(report: Report, console: Console) -> None:
    """The table."""
    table = Table(title=f"chaos: seed {report.seed}, {report.store}, {report.seconds:.0f} s", show_header=False)
    for name, value in _lines(report):
        table.add_row(name, value)
    console.print(table)
    pauses = Table("after", "times", "next reply: median", "longest", "silence: median", "longest")
    for one in report.recovery:
        figures = one.median, one.longest, one.silence_median, one.silence_longest
        pauses.add_row(one.fault, str(one.times), *(f"{figure:.1f} s" for figure in figures))
    console.print(pauses)
    for silence in report.silences:
        console.print(f"silence {silence}", highlight=False)
    for violation in report.violations[:40]:
        console.print(f"[red]VIOLATION[/red] {violation}", highlight=False)
    if len(report.violations) > 40:
        console.print(f"... {len(report.violations)} violations in all")
    console.print("[green]all promises held[/green]" if not report.violations else "[red]a promise was broken[/red]")


def _lines(report: Report) -> list[tuple[str, str]]:
    return [
        ("faults", f"{sum(report.faults.values())}: {_counts(report.faults)}"),
        ("requests", f"{report.requests:,} ({report.sendings:,} sendings), {report.lost} lost"),
        ("answers", f"{report.answers:,}, of which {report.local:,} local, {report.degraded:,} degraded"),
        ("named errors", _counts(report.errors) or "none"),
        ("paid calls", f"{report.paid_calls:,} at the provider, {report.paid_twice} paid twice"),
        ("journal", _counts(report.journal)),
        ("money", f"billed {report.billed:f}, journal {report.journaled:f}, counted {report.counted:f}"),
        ("cap", f"{report.cap_first} raised {report.cap_raised} times to {report.cap_last}; {report.looks:,} looks"),
        ("overspent", str(report.overspent)),
        ("phases, runs", f"{report.phases}, {report.runs}"),
        ("versions", ", ".join(report.versions) or "none"),
        ("workers that ended by themselves", str(dict(Counter(report.worker_exits))) if report.worker_exits else "0"),
    ]


def _counts(counts: dict[str, Any]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items(), key=lambda item: -item[1]))
