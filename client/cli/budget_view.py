"""How caps are drawn: those for all tasks with who holds what of them, or one task's own."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from rich.box import SIMPLE
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from apprentice.messages import BudgetStatus, CapStatus, TaskStatus
from client.cli.status_view import moment, money


def detail(status: BudgetStatus) -> RenderableType:
    """The budget for all tasks."""
    parts: list[RenderableType] = [_head("budget for all tasks", status.frozen)]
    parts.append(_caps(status.caps, status.currency, "granted") if status.caps else Text("no caps"))
    if status.leases or status.waiting:
        parts += [Text("who holds what of it today", style="bold"), _holders(status)]
    return Group(*parts)


def of_task(status: TaskStatus) -> RenderableType:
    """One task's own caps."""
    head = _head(f"own caps of {status.task}", status.frozen)
    return Group(head, _caps(status.caps, status.currency, "reserved") if status.caps else Text("no caps"))


def as_json(status: BudgetStatus) -> dict[str, Any]:
    """The status, and what is free of each cap. Money is text, so that no digit is lost; times are UTC."""
    document = status.model_dump(mode="json")
    for written, cap in zip(document["caps"], status.caps, strict=True):
        written["free"] = str(free(cap))
    return document


def free(cap: CapStatus) -> Decimal:
    """What is left of a cap; nothing of one that was lowered below what is spent."""
    return max(Decimal(0), cap.cap - cap.settled - cap.reserved)


def _head(what: str, frozen: bool) -> Text:
    head = Text(what, style="bold")
    return head.append("  frozen: no paid call is made", style="magenta") if frozen else head


def _caps(caps: Sequence[CapStatus], currency: str, held: str) -> Table:
    table = _table("period", *(f"{name} ({currency})" for name in ("cap", "spent", held, "free")), "resets")
    for cap in caps:
        amounts = (cap.cap, cap.settled, cap.reserved, free(cap))
        table.add_row(cap.period, *(money(amount) for amount in amounts), moment(cap.resets))
    return table


def _holders(status: BudgetStatus) -> Table:
    table = _table("task", *(f"{name} ({status.currency})" for name in ("granted", "spent", "unspent")), "")
    for task in sorted(status.leases.keys() | set(status.waiting)):
        lease = status.leases.get(task)
        amounts = (lease.limit, lease.settled, lease.limit - lease.settled) if lease else (Decimal(0),) * 3
        table.add_row(task, *(money(amount) for amount in amounts), "waits for more" if task in status.waiting else "")
    return table


def _table(first: str, *others: str) -> Table:
    table = Table(box=SIMPLE, pad_edge=False)
    table.add_column(first, no_wrap=True)
    for heading in others:
        table.add_column(heading, justify="right", no_wrap=True)
    return table
