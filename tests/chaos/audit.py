"""The books against each other: what callers got, what the journal holds, what the provider billed, what was counted.

Every check yields violations in words; a run is good if there is none.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import Row, select

from activities.remote.repairing import SUFFIX as REPAIR
from activities.store.database import open_database
from activities.store.tables import calls as table
from activities.store.urls import parse_url
from apprentice.messages import Source, TaskStatus
from tests.chaos.load import Sent
from tests.fakes.provider.ledger import Billed

PAID = {"answered", "rejected"}


@dataclass(frozen=True)
class Books:
    """`ends`: everything that came of each request. `caps`: (Unix time, the cap from then on)."""

    ends: dict[str, list[Sent]]
    journal: Sequence[Row[Any]]
    bill: list[Billed]
    status: TaskStatus
    caps: list[tuple[float, Decimal]]
    idempotent: bool

    @property
    def remote(self) -> list[Row[Any]]:
        """The journal's paid calls."""
        return [row for row in self.journal if row.role == Source.REMOTE.value]

    @property
    def paid(self) -> Counter[str]:
        """How often the provider charged for each key."""
        return Counter(call.key or "" for call in self.bill if call.cost)

    @property
    def billed(self) -> Decimal:
        return sum((call.cost for call in self.bill), Decimal(0))

    @property
    def journaled(self) -> Decimal:
        """Settled costs, and upper bounds of what is unknown."""
        return sum(map(charge, self.remote), Decimal(0))


async def journal_of(url: str, task: str) -> Sequence[Row[Any]]:
    """Every row about the task, from the database itself."""
    database = await open_database(parse_url(url))
    try:
        query = select(table).where(table.c.task == task)
        return await database.read_bulk(lambda connection: connection.execute(query).all())
    finally:
        await database.close()


def charge(row: Row[Any]) -> Decimal:
    """What the journal counts a call at."""
    if row.state == "intent":
        return Decimal(row.upper_bound)
    return row.cost or Decimal(0)


def audit(books: Books) -> list[str]:
    """All violations."""
    return [*requests(books), *payments(books), *money(books), *stuck(books.status)]


def requests(books: Books) -> Iterator[str]:
    """Every accepted request has one answer, or one named error."""
    for request_id, ends in books.ends.items():
        unnamed = {end.error: end.message for end in ends if end.error and end.error.startswith("unnamed")}
        if unnamed:
            yield f"{request_id} failed without a name: {unnamed}"
        if all(end.error == "DeadlineExceeded" for end in ends):
            yield f"{request_id} was never answered"
        elif any(end.error == "DeadlineExceeded" and end.manner != "impatient" for end in ends):
            yield f"{request_id} was stuck"
        outputs = {end.output for end in ends if end.output}
        if len(outputs) > 1:
            yield f"{request_id} got {len(outputs)} different answers"
        answered = [end for end in ends if end.output]
        for end in ends:
            if end.error not in (None, "DeadlineExceeded") and answered and answered[0].ended < end.began:
                yield f"{request_id} was answered, and then {end.error}: {end.message}"


def payments(books: Books) -> Iterator[str]:
    """Paid calls at the provider are the paid calls in the journal; none was paid twice, none is counted too low.

    An answer that does not fit is asked for once more: both calls are one in the journal.
    """
    rows = {row.idempotency_key: row for row in books.remote}
    costs: defaultdict[str, Decimal] = defaultdict(Decimal)
    for call in books.bill:
        costs[(call.key or "").removesuffix(REPAIR)] += call.cost
    for asked, times in books.paid.items():
        key = asked.removesuffix(REPAIR)
        row = rows.get(key)
        if times > 1:
            yield f"key {asked[:8]} was paid {times} times"
        if row is None or row.state == "failed":
            yield f"key {key[:8]} was paid, and is {row.state if row else 'nowhere'} in the journal"
        elif costs[key] > charge(row):
            yield f"{row.request_id} cost {costs[key]}, and is counted at {charge(row)}"
    for key, row in rows.items():
        if row.state in PAID and not books.paid[key]:
            yield f"{row.request_id} is {row.state} in the journal, and was never paid"
    for request_id, served in Counter(row.request_id for row in books.journal if row.served).items():
        if served > 1:
            yield f"{request_id} has {served} served answers"


def money(books: Books) -> Iterator[str]:
    """No cap was ever passed, by the provider's own clock; the task counts no less than the bill and the journal."""
    spent, caps = Decimal(0), list(books.caps)
    for call in sorted(books.bill, key=lambda call: call.at):
        spent += call.cost
        while len(caps) > 1 and caps[1][0] <= call.at:
            caps.pop(0)
        if spent > caps[0][1]:
            yield f"the provider had billed {spent} when the cap was {caps[0][1]}"
            break
    if books.status.spend < books.billed:
        yield f"the task counts {books.status.spend}, the provider billed {books.billed}"
    if books.status.spend < books.journaled:
        yield f"the task counts {books.status.spend}, the journal {books.journaled}"


def stuck(status: TaskStatus) -> Iterator[str]:
    """Nothing is left over."""
    for cap in status.caps:
        if cap.reserved:
            yield f"{cap.reserved} is still reserved of the {cap.period} cap"
    if status.training is not None:
        yield f"fine-tune {status.training} has not ended"
