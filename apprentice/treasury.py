"""The caps for all tasks together, and what each task was granted of them: the brain of `BudgetWorkflow`.

The invariant, for every period at every moment: settled + granted <= cap, where what a task has settled and reserved is
within what it was granted (`purse`). Money that one task holds and another needs is recalled before anyone is refused,
so that the last call that fits is made, whoever needs it.
"""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import ROUND_DOWN, Decimal

from apprentice.budget import caps_of
from apprentice.calendar import Calendar
from apprentice.messages import BudgetStatus, CapStatus, Draw, Grant, Lease, Period, Recall
from apprentice.settings import BudgetSettings
from apprentice.treasury_state import Holder, TreasuryState, Waiting

# A recalled task answers within a workflow task or two. One that does not has lost its workers; nobody waits for it.
RECALL_FOR = timedelta(seconds=5)
MILLIONTH = Decimal("0.000001")
UNLIMITED = Decimal("Infinity")

Letter = tuple[str, Grant | Recall]
"""What a task is to be told."""


class Treasury:
    """Grants, recalls and closes leases. Each method returns the letters to send; time is an argument."""

    def __init__(self, settings: BudgetSettings, state: TreasuryState) -> None:
        self.settings = settings
        self.state = state
        self.calendar = Calendar(settings.timezone)

    # --- what comes in -----------------------------------------------------------------------------------------

    def draw(self, draw: Draw, now: datetime) -> list[Letter]:
        """A task's word. A repeat is dropped."""
        holder = self.state.holders.get(draw.task)
        if holder and holder.life == draw.life and draw.number <= holder.number:
            return []
        if holder and holder.life != draw.life:
            self._set_adrift(draw.task)
            holder = None
        new = holder is None
        holder = holder or Holder(life=draw.life, number=0)
        holder.number = draw.number
        self.state.holders[draw.task] = holder
        self._take_back(draw, holder, new=new)
        self._heard(draw.task)
        if draw.leaves:
            self._set_adrift(draw.task)  # what is still in flight
            del self.state.holders[draw.task]
            self.state.waiting.pop(draw.task, None)
        else:
            self.state.waiting[draw.task] = Waiting(draw=draw, since=now)
        return self._serve(now)

    def clock(self, now: datetime) -> list[Letter]:
        """Call it when `next_due` has come: days end, and waiting for recalled money does."""
        self._forget(now)
        for waiting in self.state.waiting.values():
            if now >= waiting.since + RECALL_FOR:
                waiting.asked, self.state.unheard = [], []
        today = self._today(now)
        late = [name for name, holder in self.state.holders.items() if any(day < today for day in holder.leases)]
        return [*self._recall([name for name in late if name not in self.state.waiting], now), *self._serve(now)]

    def next_due(self, now: datetime) -> datetime | None:
        """When `clock` has to be called next; None while nothing is out."""
        times = [waiting.since + RECALL_FOR for waiting in self.state.waiting.values()]
        if any(holder.leases for holder in self.state.holders.values()):
            times.append(self.calendar.resets("daily", now))
        return min(times, default=None)

    def configure(self, settings: BudgetSettings, now: datetime) -> list[Letter]:
        """Other caps; everyone hears of it."""
        self.settings, self.calendar = settings, Calendar(settings.timezone)
        return self._tell_all(now)

    def freeze(self, frozen: bool, now: datetime) -> list[Letter]:
        """Grant nothing and take back what is unused, or go on."""
        self.state.frozen = frozen
        return self._tell_all(now)

    def gone(self, task: str) -> None:
        """There is no workflow of this task any more: the store has to say what it spent."""
        self._set_adrift(task)
        self._heard(task)
        self.state.holders.pop(task, None)
        self.state.waiting.pop(task, None)

    def found(self, spent: Mapping[str, Mapping[str, Decimal]], now: datetime) -> list[Letter]:
        """What the store knows, by task and day, when the budget begins with no memory. These tasks are asked first.

        Task "" stands for all of them, on earlier days. What tasks that hold leases have reported is theirs.
        """
        books = {task: dict(days) for task, days in spent.items()}
        self.state.spent, self.state.adrift = books.pop("", {}), {}
        for task, holder in self.state.holders.items():
            for day, lease in holder.leases.items():
                book = books[task] if day in books.get(task, {}) else self.state.spent
                book[day] = max(Decimal(0), book.get(day, Decimal(0)) - lease.settled)
        self.state.found, self.state.unheard = books, list(books)
        return self._recall(list(books), now)

    def audited(self, task: str, spent: Mapping[str, Decimal]) -> None:
        """What a life of the task that is gone has really spent, by day; the rest of what it was granted is free."""
        for day, granted in self.state.adrift.pop(task, {}).items():
            self._spend(day, min(granted, spent.get(day, Decimal(0))))

    # --- what goes out -----------------------------------------------------------------------------------------

    def _serve(self, now: datetime) -> list[Letter]:
        """Answer the draws that can be answered, in the order they came."""
        letters: list[Letter] = []
        for task, waiting in list(self.state.waiting.items()):
            if self.state.unheard:
                continue
            if waiting.draw.need > self._free(now) and not self.state.frozen:
                if waiting.asked is None:
                    waiting.asked = self._others(task)
                    letters += self._recall(waiting.asked, now)
                if waiting.asked:
                    continue
            del self.state.waiting[task]
            letters.append((task, self._grant(waiting.draw, now)))
        return [*letters, *self._notice(now)]

    def _grant(self, draw: Draw, now: datetime) -> Grant:
        holder, today = self.state.holders[draw.task], self._today(now)
        before = holder.leases.get(today)
        give = Decimal(0) if self.state.frozen else self._amount(draw, now)
        lease = Lease(
            day=today,
            until=self.calendar.resets("daily", now),
            limit=(before.limit if before else Decimal(0)) + give,
            settled=before.settled if before else Decimal(0),
        )
        holder.leases[today] = lease
        dry = give < draw.need
        return Grant(
            number=draw.number,
            lease=lease,
            tight=self._tight(now),
            frozen=self.state.frozen,
            dry=dry,
            resets=self._resets(draw.need, now) if dry else None,
        )

    def _amount(self, draw: Draw, now: datetime) -> Decimal:
        """What is needed, as far as there is room; what is wanted besides, as far as it leaves the others as much."""
        give = max(Decimal(0), min(draw.need, self._free(now)))
        if give < draw.need:
            return give
        spare = max(Decimal(0), self._free(now, self._coaching_share) - give)
        fair = spare if spare == UNLIMITED else spare / (2 * len(self.state.holders))
        extra = min(draw.want - draw.need, fair)
        return give + extra.quantize(MILLIONTH, ROUND_DOWN)

    def _notice(self, now: datetime) -> list[Letter]:
        """Everyone is told once a day that coaching has to pause; the money they hold for it comes back."""
        today = self._today(now)
        if not self._tight(now) or self.state.told_tight == today:
            return []
        self.state.told_tight = today
        return self._recall([name for name in self.state.holders if name not in self.state.waiting], now)

    def _tell_all(self, now: datetime) -> list[Letter]:
        self.state.told_tight = self._today(now) if self._tight(now) else ""
        others = [name for name in self.state.holders if name not in self.state.waiting]
        return [*self._recall(others, now), *self._serve(now)]

    def _recall(self, tasks: list[str], now: datetime) -> list[Letter]:
        return [(task, Recall(tight=self._tight(now), frozen=self.state.frozen)) for task in tasks]

    def _others(self, task: str) -> list[str]:
        """Who may hold something that is not used. One that waits itself has given back what it could."""
        others = {name: holder for name, holder in self.state.holders.items() if name not in self.state.waiting}
        return [name for name, holder in others.items() if name != task and holder.holds()]

    # --- the books ---------------------------------------------------------------------------------------------

    def _heard(self, task: str) -> None:
        self.state.unheard = [name for name in self.state.unheard if name != task]
        for waiting in self.state.waiting.values():
            waiting.asked = None if waiting.asked is None else [name for name in waiting.asked if name != task]

    def _take_back(self, draw: Draw, holder: Holder, *, new: bool) -> None:
        found = self.state.found.get(draw.task, {})
        for lease in draw.closed:
            # Of a lease that this budget does not know, and a holder that it does, it was told before.
            if holder.leases.pop(lease.day, None) is not None:
                self._spend(lease.day, lease.settled)
            elif new:
                self._cover(found, lease)
                self._spend(lease.day, lease.settled)
        for lease in draw.kept:
            if lease.day not in holder.leases:
                self._cover(found, lease)
            # A call can cost more than its upper bound: what is spent is spent.
            holder.leases[lease.day] = lease.model_copy(update={"limit": max(lease.limit, lease.settled)})
        if not found:
            self.state.found.pop(draw.task, None)

    @staticmethod
    def _cover(found: dict[str, Decimal], lease: Lease) -> None:
        """What the task reports of a lease from before this budget, also in flight, is no longer counted as found."""
        if lease.day in found:
            found[lease.day] -= min(found[lease.day], lease.settled + lease.reserved)
            if not found[lease.day]:
                del found[lease.day]

    def _set_adrift(self, task: str) -> None:
        holder = self.state.holders.get(task)
        if holder is None:
            return
        book = self.state.adrift.setdefault(task, {})
        for day, lease in holder.leases.items():
            book[day] = book.get(day, Decimal(0)) + lease.limit
        if not book:
            del self.state.adrift[task]

    def _spend(self, day: str, amount: Decimal) -> None:
        self.state.spent[day] = self.state.spent.get(day, Decimal(0)) + amount

    def _by_day(self) -> dict[str, Decimal]:
        """All that is spent or granted."""
        totals = dict(self.state.spent)
        books = [*self.state.found.values(), *self.state.adrift.values()]
        books += [{day: lease.limit for day, lease in h.leases.items()} for h in self.state.holders.values()]
        for book in books:
            for day, amount in book.items():
                totals[day] = totals.get(day, Decimal(0)) + amount
        return totals

    def _used(self, now: datetime) -> dict[Period, Decimal]:
        used: dict[Period, Decimal] = {}
        totals = self._by_day()
        for period, _ in caps_of(self.settings):
            current = self.calendar.now(period, now)
            used[period] = sum(
                (amount for day, amount in totals.items() if self._key(period, day) == current), Decimal(0)
            )
        return used

    def _free(self, now: datetime, share: Decimal = Decimal(1)) -> Decimal:
        """What may still be granted within this share of every cap; below zero after a cap was lowered."""
        used = self._used(now)
        return min((share * cap - used[period] for period, cap in caps_of(self.settings)), default=UNLIMITED)

    def _tight(self, now: datetime) -> bool:
        return self._coaching_share < 1 and self._free(now, self._coaching_share) <= 0

    def _resets(self, need: Decimal, now: datetime) -> datetime | None:
        used = self._used(now)
        full = [period for period, cap in caps_of(self.settings) if used[period] + need > cap]
        return max((self.calendar.resets(period, now) for period in full), default=None)

    def _forget(self, now: datetime) -> None:
        """Days before the current week and month count for no cap."""
        oldest = self.calendar.oldest(now).isoformat()
        self.state.spent = {day: amount for day, amount in self.state.spent.items() if day >= oldest}
        for books in (self.state.found, self.state.adrift):
            for task, book in list(books.items()):
                books[task] = {day: amount for day, amount in book.items() if day >= oldest}
                if not books[task]:
                    del books[task]

    @property
    def _coaching_share(self) -> Decimal:
        return Decimal(str(self.settings.coaching_share))

    def _today(self, now: datetime) -> str:
        return self.calendar.now("daily", now)

    def _key(self, period: Period, day: str) -> str:
        return self.calendar.key(period, date.fromisoformat(day))

    # --- what operators see ------------------------------------------------------------------------------------

    def status(self, now: datetime) -> BudgetStatus:
        """The caps and who holds what. `reserved` is what is granted and not reported as spent."""
        today, used = self._today(now), self._used(now)
        unspent = {
            day: sum((h.leases[day].limit - h.leases[day].settled for h in self._holding(day)), Decimal(0))
            for day in {day for holder in self.state.holders.values() for day in holder.leases}
        }
        caps = []
        for period, cap in caps_of(self.settings):
            current = self.calendar.now(period, now)
            reserved = sum((amount for day, amount in unspent.items() if self._key(period, day) == current), Decimal(0))
            resets = self.calendar.resets(period, now)
            settled = used[period] - reserved
            caps.append(CapStatus(period=period, cap=cap, settled=settled, reserved=reserved, resets=resets))
        return BudgetStatus(
            at=now,
            currency=self.settings.currency,
            timezone=self.settings.timezone,
            frozen=self.state.frozen,
            caps=caps,
            leases={name: h.leases[today] for name, h in sorted(self.state.holders.items()) if today in h.leases},
            waiting=sorted(self.state.waiting),
        )

    def _holding(self, day: str) -> list[Holder]:
        return [holder for holder in self.state.holders.values() if day in holder.leases]
