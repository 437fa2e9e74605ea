"""A task's side of the caps for all tasks: what it was granted, and what it says to the budget (`treasury`).

A task spends only out of leases. A lease is for one day of the budget's calendar, so that it counts in the right week
and month; it ends with the day. The task lowers a limit before it tells, and the budget counts a higher one before it
tells: so, whatever is under way between them, what the tasks may spend never adds up to more than a cap.
"""

from datetime import datetime, timedelta
from decimal import Decimal

from pydantic import AwareDatetime, BaseModel

from apprentice.budget import Ledger
from apprentice.messages import Draw, Grant, Lease, Recall

# Calls that a draw asks for beyond those that wait: so a draw is for many requests, and few requests wait for one.
CALLS_AHEAD = 32
# A budget without room is asked again after this time, unless it speaks first.
DRY_FOR = timedelta(seconds=10)
# That money is short for coaching is believed for this long: then one request asks again.
TIGHT_FOR = timedelta(minutes=5)


class Grants(BaseModel):
    """What a purse remembers. `leases` are by day: today's, and older ones until the budget knows their end.

    `expected` is today's limit if the last draw gets all it wanted; `call` the upper bound of the last call.
    """

    leases: dict[str, Lease] = {}
    number: int = 0
    waiting: bool = False
    closing: list[str] = []
    recalled: bool = False
    frozen: bool = False
    tight_until: AwareDatetime | None = None
    dry_until: AwareDatetime | None = None
    resets: AwareDatetime | None = None
    expected: Decimal = Decimal(0)
    scarce_until: AwareDatetime | None = None
    call: Decimal = Decimal(0)


class Purse:
    """Leases over a task's ledger, whose reservations name the lease that they are out of."""

    def __init__(self, grants: Grants, ledger: Ledger) -> None:
        self.grants = grants
        self.ledger = ledger

    def lease(self, now: datetime) -> Lease | None:
        """Today's, if there is one: the newest, as a change of the time zone can leave two."""
        return next((lease for lease in reversed(self.grants.leases.values()) if now < lease.until), None)

    def room(self, now: datetime) -> Decimal:
        """What a new call may cost at most."""
        lease = self.lease(now)
        return lease.limit - self._used(lease) if lease else Decimal(0)

    def could_fit(self, amount: Decimal, now: datetime) -> bool:
        """Whether `amount` would fit if what is reserved came to nothing."""
        lease = self.lease(now)
        return lease is not None and lease.settled + amount <= lease.limit

    def dry(self, now: datetime) -> bool:
        """Whether the budget has just said that there is no more."""
        return self.grants.dry_until is not None and now < self.grants.dry_until

    def tight(self, now: datetime) -> bool:
        """Whether the budget has said lately that the rest of a cap is for what only the remote model can answer."""
        until = self.grants.tight_until
        return until is not None and now < until and self.lease(now) is not None

    def settle(self, day: str | None, cost: Decimal) -> None:
        """Count what a call cost, or a correction of that, against the lease of that day."""
        lease = self.grants.leases.get(day or "")
        if lease:
            settled = max(Decimal(0), lease.settled + cost)
            self.grants.leases[lease.day] = lease.model_copy(update={"settled": settled})

    # --- speaking with the budget ------------------------------------------------------------------------------

    def speaks(self, now: datetime) -> bool:
        """Whether there is something to tell: unused money that is wanted back, a day that is over, little room."""
        if self.grants.waiting:
            return False
        over = [day for day in self._over(now) if not self._reserved(day)]
        # Not while dry: without a budget to hear it, the same word would be said again at once, without end.
        return self.grants.recalled or (bool(over) and not self.dry(now)) or self._runs_low(now)

    def draw(self, task: str, life: str, need: Decimal, now: datetime, *, leaves: bool = False) -> Draw:
        """The next word to the budget. `need` is what the requests that wait would take, all together."""
        grants = self.grants
        over = set(grants.leases) if leaves else set(self._over(now))
        grants.closing = sorted(day for day in over if not self._reserved(day))
        for day, lease in grants.leases.items():
            if day in over or grants.recalled:
                grants.leases[day] = lease.model_copy(update={"limit": self._used(lease)})
        ahead = (
            Decimal(0) if leaves or grants.recalled or self.tight(now) or self.dry(now) else CALLS_AHEAD * grants.call
        )
        grants.number, grants.waiting, grants.recalled = grants.number + 1, True, False
        room, current = self.room(now), self.lease(now)
        want = max(Decimal(0), need + ahead - room)
        grants.expected = want + (current.limit if current else Decimal(0))
        return Draw(
            task=task,
            life=life,
            number=grants.number,
            kept=[self._told(lease) for day, lease in grants.leases.items() if day not in grants.closing],
            closed=[grants.leases[day] for day in grants.closing],
            need=max(Decimal(0), need - room),
            want=want,
            leaves=leaves,
        )

    def granted(self, grant: Grant, now: datetime) -> None:
        """The budget's answer; one to another draw than the last is a repeat and changes nothing."""
        grants = self.grants
        if not grants.waiting or grant.number != grants.number:
            return
        for day in grants.closing:
            del grants.leases[day]
        before = grants.leases.pop(grant.lease.day, None)
        settled = before.settled if before else Decimal(0)
        grants.leases[grant.lease.day] = grant.lease.model_copy(update={"settled": settled})
        grants.waiting, grants.closing = False, []
        grants.tight_until = now + TIGHT_FOR if grant.tight else None
        grants.resets, grants.frozen = grant.resets, grant.frozen
        grants.dry_until = now + DRY_FOR if grant.dry else None
        grants.scarce_until = now + DRY_FOR if grant.lease.limit < grants.expected else None

    def recall(self, recall: Recall, now: datetime) -> None:
        """The budget wants back what is unused, or has something new to say."""
        self.grants.recalled, self.grants.dry_until, self.grants.frozen = True, None, recall.frozen
        self.grants.tight_until = now + TIGHT_FOR if recall.tight else None

    def unanswered(self, now: datetime) -> None:
        """There is no budget to speak to: so nothing more may be spent, for now."""
        self.grants.waiting, self.grants.closing, self.grants.dry_until = False, [], now + DRY_FOR

    def _over(self, now: datetime) -> list[str]:
        return [day for day, lease in self.grants.leases.items() if now >= lease.until]

    def _runs_low(self, now: datetime) -> bool:
        grants = self.grants
        scarce = grants.scarce_until is not None and now < grants.scarce_until
        if scarce or self.tight(now) or self.dry(now) or not grants.call:
            return False
        return self.room(now) < CALLS_AHEAD // 4 * grants.call

    def _told(self, lease: Lease) -> Lease:
        return lease.model_copy(update={"reserved": self._reserved(lease.day)})

    def _used(self, lease: Lease) -> Decimal:
        return lease.settled + self._reserved(lease.day)

    def _reserved(self, day: str) -> Decimal:
        return sum((r.amount for r in self.ledger.reservations.values() if r.lease == day), Decimal(0))
