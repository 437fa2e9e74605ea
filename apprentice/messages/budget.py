"""Money for all tasks together: what tasks and the budget say to each other."""

from datetime import datetime
from decimal import Decimal
from typing import Literal

from pydantic import AwareDatetime

from apprentice.messages.base import Message, Money, Period


class Lease(Message):
    """What a task may spend of the caps for all tasks on one day: settled + reserved <= limit, until `until`.

    `reserved` is what was in flight when the task last spoke.
    """

    day: str
    until: AwareDatetime
    limit: Money
    settled: Money = Decimal(0)
    reserved: Money = Decimal(0)


class Draw(Message):
    """A task's word to the budget: what it keeps of its leases, and how much more it needs.

    `life` and `number` tell a repeat from news: a task sends its next one after the answer to the last. `kept` are its
    leases with limits it has lowered already; one that is `closed` has nothing in flight and will not be used again.
    `need` is for requests that wait, `want` (at least `need`) also for those to come.
    """

    task: str
    life: str
    number: int
    kept: list[Lease] = []
    closed: list[Lease] = []
    need: Money = Decimal(0)
    want: Money = Decimal(0)
    leaves: bool = False


class Grant(Message):
    """The answer to a `Draw`: the task's lease now. `tight`: only for requests that no local model can answer.

    `dry`: there was less than needed; `resets` is when the full cap begins anew. `frozen`: nothing may be spent at all.
    """

    type: Literal["grant"] = "grant"
    number: int
    lease: Lease
    tight: bool = False
    dry: bool = False
    frozen: bool = False
    resets: AwareDatetime | None = None


class Recall(Message):
    """Ask a task to give back what it does not use (it answers with a `Draw`), or to ask again: things have changed."""

    type: Literal["recall"] = "recall"
    tight: bool = False
    frozen: bool = False


class CapStatus(Message):
    """One cap: settled + reserved <= cap at every moment; `resets` is when the next period begins.

    Of the cap for all tasks, `reserved` is what they were granted and have not reported as spent.
    """

    period: Period
    cap: Money
    settled: Money
    reserved: Money
    resets: datetime


class BudgetStatus(Message):
    """The caps for all tasks, and what each task holds of them today."""

    at: datetime
    currency: str
    timezone: str
    frozen: bool
    caps: list[CapStatus]
    leases: dict[str, Lease]
    waiting: list[str]
