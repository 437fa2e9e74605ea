"""How the budget for all tasks is drawn."""

from datetime import UTC, datetime
from decimal import Decimal
from io import StringIO
from typing import Any

from rich.console import Console

from apprentice.messages import BudgetStatus, CapStatus, Lease
from client.cli.budget_view import as_json, detail

NOW = datetime(2026, 3, 4, 5, 6, tzinfo=UTC)
RESETS = datetime(2026, 3, 5, tzinfo=UTC)


def status(**more: Any) -> BudgetStatus:
    cap = CapStatus(period="daily", cap=Decimal(20), settled=Decimal(12), reserved=Decimal("0.5"), resets=RESETS)
    lease = Lease(day="2026-03-04", until=RESETS, limit=Decimal("1.5"), settled=Decimal(1))
    base: dict[str, Any] = {"at": NOW, "currency": "EUR", "timezone": "UTC", "frozen": False, "caps": [cap]}
    return BudgetStatus(**(base | {"leases": {"sort": lease}, "waiting": ["write"]} | more))


def drawn(of: BudgetStatus) -> str:
    stream = StringIO()
    Console(file=stream, width=120).print(detail(of))
    return stream.getvalue()


def line_of(text: str, first: str) -> list[str]:
    return next(line.split() for line in text.splitlines() if line.split()[:1] == [first])


def test_a_cap_says_what_is_spent_granted_and_free_and_when_it_resets() -> None:
    assert line_of(drawn(status()), "daily")[1:] == ["20.00", "12.00", "0.5000", "7.5000", "2026-03-05T00:00:00Z"]


def test_everyone_who_holds_or_waits_for_some_of_it_is_listed() -> None:
    text = drawn(status())
    assert line_of(text, "sort") == ["sort", "1.5000", "1.0000", "0.5000"]
    assert line_of(text, "write")[-3:] == ["waits", "for", "more"]


def test_nothing_is_free_of_a_cap_that_was_lowered_below_what_is_spent() -> None:
    cap = status().caps[0].model_copy(update={"cap": Decimal(3)})
    assert as_json(status(caps=[cap]))["caps"][0]["free"] == "0"


def test_a_freeze_is_said_first() -> None:
    assert "frozen: no paid call is made" in drawn(status(frozen=True)).splitlines()[0]
    assert "frozen" not in drawn(status())
