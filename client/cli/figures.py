"""The figures that `simulate` and `demo` end with: one JSON object, and one table."""

from decimal import Decimal
from typing import Any

from rich.box import SIMPLE
from rich.table import Table

from apprentice.forecast import Forecast
from apprentice.messages import Phase
from client.cli.status_view import interval, money

MILLION = 1_000_000


def as_json(forecast: Forecast, seconds: float) -> dict[str, Any]:
    """Numbers only, but for the names; money is in `currency`, whatever the keys' last letters say."""
    correlation = forecast.correlation
    return {
        "task": forecast.task,
        "requests": forecast.requests,
        "phase": int(forecast.phase),
        "sampling_rate": forecast.sampling_rate,
        "correlation": correlation.mean if correlation else None,
        "correlation_low": correlation.low if correlation else None,
        "correlation_high": correlation.high if correlation else None,
        "local_share": forecast.local_share,
        "agreement": forecast.agreement,
        "local_agreement": forecast.local_agreement,
        "spend_usd": float(forecast.spend),
        "all_remote_usd": float(forecast.all_remote),
        "currency": forecast.currency,
        "remote_calls": forecast.remote_calls,
        "deferred": forecast.deferred,
        "degraded": forecast.degraded,
        "failed": forecast.failed,
        "fine_tunes": forecast.fine_tunes,
        "version": forecast.version,
        "seconds": round(seconds, 3),
    }


def table(forecast: Forecast) -> Table:
    """Everything a reader needs to decide, one figure a line."""
    one = forecast
    lines = Table(box=SIMPLE, pad_edge=False, show_header=False)
    lines.add_column(style="dim", no_wrap=True)
    lines.add_column()
    lines.add_row("phase", f"{int(one.phase)} {Phase(one.phase).name.lower()}: {one.explanation}")
    lines.add_row("correlation", interval(one.correlation))
    lines.add_row("checked", f"{one.sampling_rate:.1%} of requests go to both models")
    served = f"{one.requests:,}: {one.local:,} served locally ({one.local_share:.0%}), {one.deferred:,} deferred"
    lines.add_row("requests", f"{served}, {one.degraded:,} degraded, {one.failed:,} failed")
    lines.add_row("agreement", f"{percent(one.agreement)} of all answers, {percent(one.local_agreement)} of local ones")
    lines.add_row("remote calls", f"{one.remote_calls:,} ({share(one.remote_calls, one.requests):.0%})")
    lines.add_row("fine-tunes", f"{one.fine_tunes}, now serving version {one.version or '-'}")
    lines.add_row("spent", spent(one.spend, one.all_remote, one.currency))
    return lines


def spent(spend: Decimal, all_remote: Decimal, currency: str, *, local_cost: Decimal = Decimal(0)) -> str:
    """What was spent, on providers and on local compute, beside what the remote model alone would have cost."""
    full = money(all_remote, currency)
    both = money(spend, currency) + (f" and local compute of {money(local_cost, currency)}" if local_cost else "")
    if not all_remote:
        return both
    saved = all_remote - spend - local_cost
    word = "saved" if saved >= 0 else "lost"
    return f"{both} instead of {full}: {abs(saved) / all_remote:.0%} {word}"


def percent(value: float | None) -> str:
    """`93.4%`."""
    return "-" if value is None else f"{value:.1%}"


def share(part: float, whole: float) -> float:
    """`part / whole`, 0 of nothing."""
    return part / whole if whole else 0.0
