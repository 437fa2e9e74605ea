"""What nobody knew is settled, what was spent is told by day, what is old is forgotten."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from activities.store import CallState, DaySpend, NoSuchCall, OutcomeKnown, Store, Unknown, UnknownCall
from apprentice.messages import Answer, Comparison, Source

Make = Callable[..., Any]
DAY = timedelta(days=1)


async def test_calls_in_doubt_are_listed_oldest_first(store: Store, call: Make, now: datetime) -> None:
    for hours, text in ((2, "late"), (1, "early")):
        await store.journal.intend(call(text).intent, now + timedelta(hours=hours))
    await store.journal.intend(call("x", task="other").intent, now)
    await call("done").make(store)
    bound = Decimal("0.01")
    assert await store.journal.unknowns("tickets") == [
        UnknownCall("r-early", "simulated", "teacher", bound, now + timedelta(hours=1)),
        UnknownCall("r-late", "simulated", "teacher", bound, now + timedelta(hours=2)),
    ]


async def test_a_call_that_was_never_made_costs_nothing_and_may_be_made(
    store: Store, call: Make, now: datetime
) -> None:
    await store.journal.intend(call("a").intent, now)
    for _ in range(2):
        assert await store.journal.reconcile("tickets", "r-a", Decimal(0), now) == Decimal("0.01")
    assert await store.journal.spend("tickets") == 0
    assert (await store.journal.intend(call("a").intent, now)).state is None
    assert await store.journal.unknown("tickets") == Unknown(1, Decimal("0.01"))


async def test_a_call_that_was_paid_without_an_answer_is_not_made_again(
    store: Store, call: Make, now: datetime
) -> None:
    await store.journal.intend(call("a").intent, now)
    for _ in range(2):
        assert await store.journal.reconcile("tickets", "r-a", Decimal("0.007"), now) == Decimal("0.01")
    assert await store.journal.spend("tickets") == Decimal("0.007")
    assert await store.journal.unknowns("tickets") == []
    assert (await store.journal.intend(call("a").intent, now)).state is CallState.REJECTED


async def test_only_a_call_in_doubt_can_be_reconciled(store: Store, call: Make, now: datetime) -> None:
    with pytest.raises(NoSuchCall, match="'r-a'"):
        await store.journal.reconcile("tickets", "r-a", Decimal(0), now)
    local = Answer(source=Source.LOCAL, output={"category": "c"}, model="embedded", version=1)
    await store.journal.served_locally("tickets", "r-a", call("a").intent.input_hash, local, False, now, "first")
    with pytest.raises(NoSuchCall):
        await store.journal.reconcile("tickets", "r-a", Decimal(0), now)
    await call("b").make(store)
    with pytest.raises(OutcomeKnown, match="answered"):
        await store.journal.reconcile("tickets", "r-b", call("b").answer.cost, now)
    await store.journal.intend(call("c").intent, now)
    await store.journal.reconcile("tickets", "r-c", Decimal("0.002"), now)
    for other in (Decimal(0), Decimal("0.003")):
        with pytest.raises(OutcomeKnown, match="rejected"):
            await store.journal.reconcile("tickets", "r-c", other, now)
    with pytest.raises(ValueError, match="cost -1"):
        await store.journal.reconcile("tickets", "r-c", Decimal(-1), now)
    assert await store.journal.spend("tickets") == Decimal("0.003")


async def test_spend_is_told_for_each_local_day_across_a_change_of_the_clocks(store: Store, call: Make) -> None:
    zone = ZoneInfo("Europe/Berlin")
    # 29 March 2026 has 23 hours there: it ends at 22:00 UTC, one hour earlier than the day before.
    times = {
        "sat": datetime(2026, 3, 28, 22, 59, tzinfo=UTC),
        "sun": datetime(2026, 3, 28, 23, 0, tzinfo=UTC),
        "late": datetime(2026, 3, 29, 21, 59, tzinfo=UTC),
        "mon": datetime(2026, 3, 29, 22, 0, tzinfo=UTC),
        "old": datetime(2026, 2, 27, 22, 0, tzinfo=UTC),
    }
    for text, at in times.items():
        one = call(text, cost="0.1")
        await store.journal.intend(one.intent, at)
        if text != "late":
            await store.journal.answered(one.intent, one.answer, one.example, at)
    other = call("paid", task="other").intent
    await store.journal.intend(other, times["sun"])
    await store.journal.rejected(other, Decimal("0.3"), "unusable", times["mon"])
    failed = call("failed").intent
    await store.journal.intend(failed, times["sun"])
    await store.journal.failed(failed, "overloaded", times["sun"])

    tenth, none = Decimal("0.1"), Decimal(0)
    tickets = [
        DaySpend("tickets", date(2026, 3, 28), tenth, none),
        DaySpend("tickets", date(2026, 3, 29), tenth, Decimal("0.01")),
        DaySpend("tickets", date(2026, 3, 30), tenth, none),
    ]
    since = datetime(2026, 3, 1, tzinfo=zone)
    assert await store.journal.spend_by_day(since, zone, "tickets") == tickets
    assert await store.journal.spend_by_day(since, zone) == [
        DaySpend("other", date(2026, 3, 29), Decimal("0.3"), none),
        *tickets,
    ]


async def test_a_call_made_again_is_spent_on_the_day_it_is_made_again(store: Store, call: Make, now: datetime) -> None:
    one = call("a")
    await store.journal.intend(one.intent, now)
    await store.journal.failed(one.intent, "overloaded", now)
    await store.journal.intend(one.intent, now + DAY)
    await store.journal.answered(one.intent, one.answer, one.example, now + DAY)
    assert await store.journal.spend_by_day(now, UTC) == [
        DaySpend("tickets", (now + DAY).date(), one.answer.cost, Decimal(0))
    ]


@pytest.mark.parametrize("batch", [1, 3, 1000])
async def test_what_is_old_is_forgotten_but_money_in_doubt_and_examples_never(
    store: Store, call: Make, now: datetime, batch: int
) -> None:
    for n in range(7):
        await call(f"old{n}").make(store)
        await store.comparisons.record("tickets", f"r-old{n}", Comparison(score=1.0, version=1), now)
    await store.journal.intend(call("doubt").intent, now)
    late = call("late settled")
    await store.journal.intend(late.intent, now)
    await store.journal.answered(late.intent, late.answer, late.example, now + 3 * DAY)
    young = call("young")
    await store.journal.intend(young.intent, now + 3 * DAY)
    await store.journal.answered(young.intent, young.answer, young.example, now + 3 * DAY)
    await store.comparisons.record("tickets", "r-young", Comparison(score=1.0, version=1), now + 3 * DAY)

    assert await store.journal.forget(now + DAY, batch) == 14
    assert await store.journal.forget(now + DAY, batch) == 0
    assert await store.journal.served("tickets", "r-old1") is None
    assert await store.journal.served("tickets", "r-young") is not None
    assert await store.journal.served("tickets", "r-late settled") is not None
    assert await store.journal.unknown("tickets") == Unknown(1, Decimal("0.01"))
    ref = await store.examples.snapshot("tickets", 1)
    assert ref.train + ref.holdout == 9
    assert (await store.journal.intend(replace(call("old1").intent, admission="new"), now)).state is None
