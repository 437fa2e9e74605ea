"""What was spent on each day."""

from collections import defaultdict
from collections.abc import Callable
from datetime import date, datetime, tzinfo
from decimal import Decimal

from sqlalchemy import Connection, select

from activities.store.records import CallState, DaySpend
from activities.store.tables import calls

_ROWS_AT_A_TIME = 5000


def by_day(since: datetime, zone: tzinfo, task: str | None) -> Callable[[Connection], list[DaySpend]]:
    """Reads the calls since then and adds up in Python: exact, in any time zone, and in both databases the same."""
    query = select(calls.c.task, calls.c.created_at, calls.c.state, calls.c.cost, calls.c.upper_bound).where(
        calls.c.created_at >= since, calls.c.role == "remote", calls.c.state != CallState.FAILED.value
    )
    if task is not None:
        query = query.where(calls.c.task == task)
    query = query.execution_options(yield_per=_ROWS_AT_A_TIME)

    def read(connection: Connection) -> list[DaySpend]:
        settled: defaultdict[tuple[str, date], Decimal] = defaultdict(Decimal)
        unknown: defaultdict[tuple[str, date], Decimal] = defaultdict(Decimal)
        for name, at, state, cost, upper_bound in connection.execute(query):
            key = (name, at.astimezone(zone).date())
            if state == CallState.INTENT:
                unknown[key] += upper_bound
            else:
                settled[key] += cost or Decimal(0)
        return [DaySpend(*key, settled[key], unknown[key]) for key in sorted(settled.keys() | unknown.keys())]

    return read
