"""How a demo is shown: live on a terminal, else a line now and then."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Protocol

from rich.console import Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.text import Text

from apprentice.forecast import Forecast
from apprentice.messages import HistoryPoint, TaskStatus
from client.cli.counts import counted
from client.cli.figures import MILLION, percent, share, spent
from client.cli.output import note, show, stdout
from client.cli.report_view import MARGIN, WIDEST, curves
from client.cli.status_view import interval, money, phase, version

LINE_SECONDS = 3.0
RECENT = 0.2
"""The share of requests, the newest, that "the current rate" is taken over."""


class View(Protocol):
    """Shows how a demo goes on."""

    def update(self, status: TaskStatus, history: list[HistoryPoint]) -> None:
        """There is news, perhaps."""
        ...


class Lines:
    """A plain line every few seconds and at every change of phase, on stdout, or on stderr beside JSON."""

    def __init__(self, total: int, json: bool) -> None:
        self._total = total
        self._print = note if json else show
        self._phase: object = None
        self._last = 0.0

    def update(self, status: TaskStatus, history: list[HistoryPoint]) -> None:
        now = time.monotonic()
        if status.phase == self._phase and now - self._last < LINE_SECONDS:
            return
        if status.phase != self._phase:
            self._print(f"phase {int(status.phase)} {status.phase.name.lower()}: {status.explanation}")
        self._phase, self._last = status.phase, now
        self._print(
            f"{status.requests:,}/{self._total:,} requests  correlation {interval(status.correlation)}  "
            f"checked {status.sampling_rate:.1%}  local {status.local_share:.0%}  "
            f"spent {spent(status.spend, status.all_remote, status.currency)}"
        )


class Screen:
    """A picture that is redrawn in place."""

    def __init__(self, live: Live, total: int, ui_url: str | None) -> None:
        self._live, self._total, self._ui_url = live, total, ui_url

    def update(self, status: TaskStatus, history: list[HistoryPoint]) -> None:
        console = stdout()
        width = min(console.width, WIDEST)
        self._live.update(picture(status, history, self._total, self._ui_url, width, console.encoding), refresh=True)


def picture(
    status: TaskStatus, history: list[HistoryPoint], total: int, ui_url: str | None, width: int, encoding: str
) -> RenderableType:
    """The live view at one moment."""
    facts = Text.assemble(
        ("phase ", "dim"),
        phase(status),
        ("   version ", "dim"),
        version(status),
        ("   requests ", "dim"),
        f"{status.requests:,} of {total:,}\n",
        ("correlation ", "dim"),
        interval(status.correlation),
        ("   checked ", "dim"),
        f"{status.sampling_rate:.1%}",
        ("   local ", "dim"),
        f"{status.local_share:.0%}\n",
        ("spent ", "dim"),
        spent(status.spend, status.all_remote, status.currency),
    )
    parts: list[RenderableType] = [facts, Text(status.explanation, style="dim italic"), Text()]
    if len(history) > 1:
        parts += curves(history, max(10, width - MARGIN - 4), encoding)
    where = f"Web UI: {ui_url}" if ui_url else None
    return Panel(Group(*parts), title=f"apprentice demo: {status.task}", subtitle=where, width=width)


@contextmanager
def viewing(total: int, ui_url: str | None, *, json: bool) -> Iterator[View]:
    """A view for this terminal, or pipe."""
    if json or not stdout().is_terminal:
        yield Lines(total, json)
        return
    with Live(console=stdout(), auto_refresh=False) as live:
        yield Screen(live, total, ui_url)


def closing(forecast: Forecast, history: list[HistoryPoint], ui_url: str | None, config: str) -> RenderableType:
    """What was saved, at what quality, and where to look."""
    now, full = per_million(history), share(float(forecast.all_remote), forecast.requests) * MILLION
    lines = [
        Text.assemble(("Spent ", "bold"), spent(forecast.spend, forecast.all_remote, forecast.currency), style="green"),
        Text(
            f"Quality: {percent(forecast.agreement)} of what was served agrees with the remote model "
            f"({percent(forecast.local_agreement)} of the {counted(forecast.local, 'local answer')})"
        ),
        Text(f"Now: phase {int(forecast.phase)}; {forecast.explanation}"),
    ]
    if now is not None:
        projected = money(now, forecast.currency), money(Decimal(full), forecast.currency)
        lines.append(Text(f"A million requests at this rate: {projected[0]}; all remote: {projected[1]}"))
    lines.append(Text(f"Configuration: {config}", style="dim"))
    if ui_url:
        page = f"{ui_url}/namespaces/default/workflows"
        lines.append(Text(f"Web UI: {page} (workflow apprentice/{forecast.task}, and its fine-tunes)", style="dim"))
    return Group(Text(), *lines)


def per_million(history: list[HistoryPoint]) -> Decimal | None:
    """What a million requests cost at the rate of the newest fifth of them; None without a history."""
    if len(history) < 2:
        return None
    newest = history[-1]
    before = next((p for p in reversed(history) if p.requests <= newest.requests * (1 - RECENT)), history[0])
    requests = newest.requests - before.requests
    return (newest.spend - before.spend) / requests * MILLION if requests else None
