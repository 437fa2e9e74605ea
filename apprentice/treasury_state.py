"""Everything the budget for all tasks remembers: what continue-as-new carries over. It grows with the tasks only."""

from decimal import Decimal

from pydantic import AwareDatetime, BaseModel

from apprentice.messages import Draw, Lease


class Holder(BaseModel):
    """A task with leases, by day."""

    life: str
    number: int
    leases: dict[str, Lease] = {}

    def holds(self) -> bool:
        """Whether it has more than it reported as spent."""
        return any(lease.limit > lease.settled for lease in self.leases.values())


class Waiting(BaseModel):
    """A draw that is not answered yet. `asked` are the tasks whose unused money it waits for; None before any was."""

    draw: Draw
    since: AwareDatetime
    asked: list[str] | None = None


class TreasuryState(BaseModel):
    """All that the budget remembers. `spent` is by day: of leases that are closed.

    `found` is what the store says that tasks spent before this budget began, by task and day, until they report it
    themselves (`unheard`: nothing is granted before they had the time to); `adrift` what a life of a task that is gone
    was granted, until the store says what it spent.
    """

    spent: dict[str, Decimal] = {}
    found: dict[str, dict[str, Decimal]] = {}
    unheard: list[str] = []
    adrift: dict[str, dict[str, Decimal]] = {}
    holders: dict[str, Holder] = {}
    waiting: dict[str, Waiting] = {}
    frozen: bool = False
    told_tight: str = ""
