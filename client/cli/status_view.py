"""How a task's status is drawn: a row among others, or everything about one task."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from apprentice.messages import AllowanceStatus, BatchStatus, Interval, Lease, Phase, TaskStatus
from client.cli import gold_view
from client.cli.counts import counted

PHASE_STYLES = {Phase.COLLECTING: "yellow", Phase.COACHING: "cyan", Phase.AUTONOMOUS: "green"}
VERSIONS_SHOWN = ALERTS_SHOWN = 5
FLAT_TREND = 0.005
ROOMY = 110


def overview(statuses: Iterable[TaskStatus], width: int) -> Table:
    """One row a task; under `ROOMY` columns the lesser facts are left out. Money is in each task's own currency."""
    columns = [column for column in COLUMNS if width >= ROOMY or not column.lesser]
    table = Table(box=None, pad_edge=False, padding=(0, 1))
    for column in columns:
        table.add_column(column.heading, justify=column.justify, no_wrap=column.heading != "task", overflow="fold")
    for status in statuses:
        table.add_row(*[column.cell(status) for column in columns])
    return table


def detail(status: TaskStatus) -> RenderableType:
    """Everything about one task."""
    head = Text.assemble((status.task, "bold"), "  ", phase(status), "  version ", version(status))
    parts: list[RenderableType] = [head, Text(status.explanation), _facts(status)]
    if status.versions:
        parts += [Text("versions, newest last", style="bold"), _versions(status)]
    if status.alerts:
        parts += [Text("alerts, newest last", style="bold"), _alerts(status)]
    return Group(*parts)


def line(status: TaskStatus) -> str:
    """One line of plain text, for a log."""
    return (
        f"{moment(status.at)} {status.task} phase={int(status.phase)} version={version(status)} "
        f"correlation={interval(status.correlation)} checked={status.sampling_rate:.1%} requests={status.requests} "
        f"local={status.local_share:.0%} failed={status.failed} "
        f"spent={money(status.spend, status.currency)} all_remote={money(status.all_remote, status.currency)}"
        + (f" copied={status.copied}" if status.copied else "")
        + (f" unknown={status.unknown.calls}" if status.unknown.calls else "")
        + (f" local_compute={money(status.local_cost, status.currency)}" if status.local_cost else "")
        + (f" outage={status.outage.error}" if status.outage else "")
        + (" frozen" if status.frozen else "")
        + gold_view.short(status)
        + (f" in_trouble={len(status.troubled)}" if status.troubled else "")
    )


def phase(status: TaskStatus) -> Text:
    """`3 autonomous`, and what an operator has changed about it."""
    text = Text(f"{int(status.phase)} {status.phase.name.lower()}", style=PHASE_STYLES[status.phase])
    if status.forced_remote:
        text.append(" forced remote", style="magenta")
    if status.coaching_paused:
        text.append(" coaching paused", style="magenta")
    if status.frozen:
        text.append(" frozen", style="magenta")
    if status.outage is not None:
        text.append(" local outage", style="red")
    return text


def version(status: TaskStatus) -> str:
    """The version that answers, and the one in training: `2`, `2>3`, `-`."""
    current = "-" if status.version is None else str(status.version)
    return current if status.training is None else f"{current}>{status.training}"


def interval(value: Interval | None) -> str:
    """`0.93 (0.88-0.96)`."""
    return "-" if value is None else f"{value.mean:.2f} ({value.low:.2f}-{value.high:.2f})"


def money(amount: Decimal, currency: str = "") -> str:
    """`12.34 USD`; hundredths of cents below ten."""
    return f"{amount:,.{2 if abs(amount) >= 10 else 4}f} {currency}".rstrip()


def moment(time: datetime) -> str:
    """To the second, in UTC."""
    return f"{time:%Y-%m-%dT%H:%M:%SZ}"


def _facts(status: TaskStatus) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    for name, value in _fact_list(status):
        table.add_row(name, Text(value))
    return Padding(table, (1, 0), expand=False)


def _allowance(one: AllowanceStatus) -> str:
    resets = f", anew at {moment(one.resets)}" if one.resets else ""
    unsure = f"; below {one.defer_below:.2f} sure it asks" if one.defer_below is not None else ""
    return f"{one.taken:,} of {counted(one.calls, 'remote call')} taken{resets}{unsure}"


def _batches(status: TaskStatus) -> str:
    batch = status.batch
    lost = f", {batch.unusable:,} unusable, {batch.failed:,} failed" if batch.unusable or batch.failed else ""
    return (
        f"{counted(batch.collected, 'question')} collected, {batch.under_way:,} under way, "
        f"{batch.answered:,} answered{lost}, for {money(batch.spend, status.currency)}"
    )


def _fact_list(status: TaskStatus) -> Iterable[tuple[str, str]]:
    yield "correlation", _correlation(status)
    yield "checked", f"{status.sampling_rate:.1%} of requests go to both models"
    share = f"{status.local:,} served locally ({status.local_share:.0%})"
    yield (
        "requests",
        f"{status.requests:,}: {share}, {status.deferred:,} deferred, {status.degraded:,} degraded, "
        + (f"{status.failed:,} failed"),
    )
    if status.allowance:
        yield "allowance", _allowance(status.allowance)
    if status.copied:
        yield "copied", f"{counted(status.copied, 'answer')} of other requests with the same input, at no cost"
    for one in status.troubled:
        yield "in trouble", f"{one.provider} {one.model} since {moment(one.since)}, {one.error}: {one.message}"
    if status.teachers_agree is not None:
        yield "teachers", _agreement(status.teachers_agree)
    yield from gold_view.lines(status)
    if status.batch != BatchStatus():
        yield "batches", _batches(status)
    if status.schema_version > 1:
        yield "schema", f"version {status.schema_version}"
    yield "examples", f"{status.examples:,}, of which {status.holdout:,} are held out"
    yield "spent", _spent(status)
    if status.local_cost:
        yield "local compute", f"{money(status.local_cost, status.currency)}, which no cap counts"
    if status.outage is not None:
        yield "outage", f"no local answer since {moment(status.outage.since)}: {status.outage.error}"
    for cap in status.caps:
        used = f"{cap.settled.normalize():f} spent + {cap.reserved.normalize():f} reserved of {cap.cap.normalize():f}"
        yield f"{cap.period} cap", f"{used} {status.currency}, resets {moment(cap.resets)}"
    if status.lease is not None:
        yield "of all tasks' budget", _lease(status.lease, status.currency)
    elif not status.caps:
        yield "caps", "none"
    if status.frozen:
        # The status says that a freeze holds, not whose it is: the task's own or that of the budget for all.
        shared = "; or `budget unfreeze`, if all are frozen" if status.lease is not None else ""
        yield "frozen", f"no paid call is made until `budget unfreeze {status.task}`{shared}"
    if status.unknown.calls:
        calls = counted(status.unknown.calls, "call")
        bound = money(status.unknown.upper_bound, status.currency)
        yield "unknown", f"{calls}, counted as spent at most: {bound}; see `apprentice unknown`"
    if status.forced_remote:
        until = f"until {moment(status.forced_until)}" if status.forced_until else "until `force-remote --off`"
        yield "forced remote", until
    if status.training is not None:
        yield "training", f"version {status.training} is on its way"


def _correlation(status: TaskStatus) -> str:
    value, trend = status.correlation, status.trend
    if value is None:
        return "not measured yet"
    text = f"{value.mean:.3f}, 95% between {value.low:.3f} and {value.high:.3f} (n = {value.n:.0f})"
    if trend is None:
        return text
    return f"{text}, {'flat' if abs(trend) < FLAT_TREND else f'trend {trend:+.3f}'}"


def _agreement(value: Interval) -> str:
    """What a local model cannot be expected to pass."""
    opinions = counted(value.n, "second opinion")
    return f"agree {value.mean:.2f}, between {value.low:.2f} and {value.high:.2f}, over {opinions}"


def _spent(status: TaskStatus) -> str:
    spend, full = money(status.spend, status.currency), money(status.all_remote, status.currency)
    if not status.all_remote:
        return spend
    kept = f"{'saved' if status.savings >= 0 else 'lost'} {money(abs(status.savings), status.currency)}"
    return f"{spend}; all remote would have been {full}: {kept} ({status.savings / status.all_remote:.0%})"


def _lease(lease: Lease, currency: str) -> str:
    used = f"{lease.settled.normalize():f} spent of {lease.limit.normalize():f} {currency} granted today"
    return f"{used}; see `apprentice budget`"


def _versions(status: TaskStatus) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    for one in status.versions[-VERSIONS_SHOWN:]:
        score = "" if one.holdout_mean is None else f"{one.holdout_mean:.3f} on {one.holdout:,} held out"
        score += f", {counted(one.left_out, 'example')} left out" if one.left_out else ""
        table.add_row(str(one.version), one.state, moment(one.at), score, Text(one.reason))
    return Padding(table, (0, 0, 1, 2), expand=False)


def _alerts(status: TaskStatus) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    for alert in status.alerts[-ALERTS_SHOWN:]:
        table.add_row(moment(alert.at), alert.kind.value, Text(alert.message))
    return Padding(table, (0, 0, 0, 2), expand=False)


@dataclass(frozen=True)
class Column:
    """One fact in the overview."""

    heading: str
    cell: Callable[[TaskStatus], str | Text]
    justify: Literal["left", "right"] = "right"
    lesser: bool = False


COLUMNS = (
    Column("task", lambda status: Text(status.task, style="bold"), "left"),
    Column("phase", phase, "left"),
    Column("version", version, "left", lesser=True),
    Column("correlation", lambda status: interval(status.correlation)),
    Column("checked", lambda status: f"{status.sampling_rate:.1%}", lesser=True),
    Column("requests", lambda status: f"{status.requests:,}"),
    Column("local", lambda status: f"{status.local_share:.0%}"),
    Column("failed", lambda status: f"{status.failed:,}", lesser=True),
    Column("spent", lambda status: money(status.spend)),
    Column("saved", lambda status: f"{status.savings / status.all_remote:.0%}" if status.all_remote else "-"),
)
