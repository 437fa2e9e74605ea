"""How a report is drawn: savings first, then the curves, the days, the versions and the alerts."""

from collections.abc import Iterable, Sequence
from decimal import Decimal

from rich.box import SIMPLE
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from apprentice.accounting import COST_DIGITS
from apprentice.messages import DaySpend, HistoryPoint, TaskStatus
from client.cli.charts import Values, chart, sparkline
from client.cli.counts import counted
from client.cli.figures import share, spent
from client.cli.status_view import detail, money

WIDEST = 100
CHART_HEIGHT = 5
MARGIN = 20
"""Columns left of a chart: its name and its scale."""
DAYS_SHOWN = 31


def report_of(status: TaskStatus, history: Sequence[HistoryPoint], *, width: int, encoding: str) -> RenderableType:
    """The whole report; `width` is the terminal's, `encoding` the stream's."""
    room = max(10, min(width, WIDEST) - MARGIN)
    parts: list[RenderableType] = [detail(status), Text(headline(status), style="bold green"), Text()]
    if status.copied:
        saved = money(copies(status), status.currency)
        parts[-1:] = [
            Text(f"{counted(status.copied, 'request')} got another's answer, which saved {saved}"),
            Text(),
        ]
    if len(history) > 1:
        parts += [*curves(history, room, encoding), Text()]
    if status.days:
        parts += [Text("spend by day", style="bold"), days(status, room, encoding)]
    return Group(*parts)


def headline(status: TaskStatus) -> str:
    """The savings in a line."""
    saved = spent(status.spend, status.all_remote, status.currency, local_cost=status.local_cost)
    return f"{saved}; {status.local_share:.0%} of {counted(status.requests, 'request')} served locally"


def copies(status: TaskStatus) -> Decimal:
    """What the copied answers would have cost, at the mean price of a remote call."""
    paid = status.requests - status.local - status.failed - status.copied
    if paid <= 0 or not status.copied:
        return Decimal(0)
    return (status.spend / paid * status.copied).quantize(COST_DIGITS)


def curves(history: Sequence[HistoryPoint], width: int, encoding: str) -> Iterable[RenderableType]:
    """Correlation as a chart; sampling, local share and phase in a line each. The x axis is requests."""
    yield from scaled("correlation", [point.correlation for point in history], width, encoding)
    newest = history[-1]
    yield curve("sampling rate", [p.sampling_rate for p in history], f"{newest.sampling_rate:.0%}", width, encoding)
    local = recent_local_shares(history)
    yield curve("local share", local, f"{local[-1] or 0:.0%}", width, encoding)
    phases: Values = [int(point.phase) / 3 for point in history]
    yield curve("phase", phases, str(int(newest.phase)), width, encoding)
    yield Text(f"{'':{MARGIN}}request {history[0].requests:,} to {newest.requests:,}", style="dim")


def recent_local_shares(history: Sequence[HistoryPoint]) -> list[float | None]:
    """Between each point and the one before: which share of requests the local model served."""
    shares: list[float | None] = []
    requests = local = 0
    for point in history:
        shares.append(share(point.local - local, point.requests - requests))
        requests, local = point.requests, point.local
    return shares


def days(status: TaskStatus, width: int, encoding: str) -> Table:
    """A line a day, the newest last: what was spent of what the remote model alone would have cost."""
    table = Table(box=SIMPLE, pad_edge=False)
    table.add_column("day", no_wrap=True)
    for heading in ("requests", "local", "spent", "all remote", "saved"):
        table.add_column(heading, justify="right", no_wrap=True)
    for day in status.days[-DAYS_SHOWN:]:
        table.add_row(*_day(day, status.currency))
    if len(status.days) > 1:
        table.caption = "saved: " + sparkline([_saved(day) for day in status.days], width, encoding=encoding)
    return table


def _day(day: DaySpend, currency: str) -> tuple[str, ...]:
    return (
        day.day,
        f"{day.requests:,}",
        f"{share(day.local, day.requests):.0%}",
        money(day.spend, currency),
        money(day.all_remote, currency),
        f"{_saved(day):.0%}",
    )


def _saved(day: DaySpend) -> float:
    return share(float(day.savings), float(day.all_remote))


def scaled(name: str, values: Values, width: int, encoding: str) -> Iterable[Text]:
    """A chart of some lines behind its name and its scale, which ends a little below the least of the values."""
    low = max(0.0, min((value for value in values if value is not None), default=0.0) - 0.05)
    lines = chart(values, width, CHART_HEIGHT, low=low, encoding=encoding)
    for number, line in enumerate(lines):
        scale = {0: "1.00", len(lines) - 1: f"{low:.2f}"}.get(number, "")
        yield labelled(name if number == 0 else "", scale, line, "cyan")


def curve(name: str, values: Values, now: str, width: int, encoding: str) -> Text:
    """A name, the newest value, and a line of all of them."""
    return labelled(name, now, sparkline(values, width, encoding=encoding), "green")


def labelled(name: str, scale: str, line: str, style: str) -> Text:
    """A line of a chart behind its name and what is written on its scale."""
    gap = max(1, MARGIN - 1 - len(name))
    return Text.assemble((name, "dim"), (f"{scale:>{gap}} ", "dim"), (line, style), overflow="crop", no_wrap=True)
