"""Promise 3 for all tasks together: whatever is under way between them and the budget, no cap is passed."""

from collections import deque
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from apprentice.accounting import Accounts, BudgetExhausted, RoomAwaited
from apprentice.messages import Draw, Grant, Phase, Recall, RequestOutcome, Route, RouteReason
from apprentice.settings import BudgetSettings, TaskSettings
from apprentice.state import LifecycleState
from apprentice.treasury import RECALL_FOR, Letter, Treasury
from apprentice.treasury_state import TreasuryState
from tests.apprentice.brain import PRICE, T0, remote_answer, request, task_settings

ASK = Route(remote=True, local=False, reason=RouteReason.COLLECTING)
COACH = Route(remote=True, local=True, reason=RouteReason.COACHING, version=1)


class Task:
    """One task's accounts, what was said to it and not heard yet, and its calls in flight."""

    def __init__(self, name: str, life: int = 0, **state: object) -> None:
        self.name, self.life = name, str(life)
        used = task_settings()
        self.settings = used.model_copy(update={"name": name, "shared_budget": "all"})
        self.accounts = Accounts(self.settings, LifecycleState.model_validate(state))
        self.inbox: deque[Grant | Recall] = deque()
        self.flying: set[str] = set()
        self.sent = 0

    def ask(self, now: datetime, route: Route = ASK) -> Route | None:
        """The route; None if there may be room later. Raises `BudgetExhausted`."""
        self.sent += 1
        asked = request(self.sent).model_copy(update={"request_id": f"{self.name}-{self.life}-{self.sent}"})
        try:
            funded = self.accounts.fund(route, asked, now, patient=True)
        except RoomAwaited:
            return None
        if funded.remote:
            self.flying.add(asked.request_id)
        return funded

    def end(self, request_id: str, cost: Decimal, now: datetime) -> None:
        self.flying.remove(request_id)
        outcome = RequestOutcome(request_id=request_id, route=ASK, remote=remote_answer(cost))
        self.accounts.close(outcome, now)

    def word(self, need: Decimal, now: datetime) -> Draw | None:
        purse = self.accounts.purse
        if purse.grants.waiting:
            return None
        if (need > purse.room(now) and not purse.dry(now)) or purse.speaks(now):
            return purse.draw(self.name, self.life, need, now)
        return None

    def hear(self, now: datetime) -> None:
        word = self.inbox.popleft()
        if isinstance(word, Grant):
            self.accounts.purse.granted(word, now)
        else:
            self.accounts.purse.recall(word, now)


class ManyTasksOneBudget(RuleBasedStateMachine):
    """Words travel as late as they like, in both directions; only their order between two is kept."""

    @initialize(
        daily=st.integers(1, 60),
        weekly=st.none() | st.integers(1, 120),
        zone=st.sampled_from(["UTC", "Europe/Berlin", "Pacific/Apia"]),
        start=st.integers(0, 400),
        share=st.sampled_from([1.0, 0.9, 0.5]),
    )
    def begin(self, daily: int, weekly: int | None, zone: str, start: int, share: float) -> None:
        self.caps = BudgetSettings(
            daily=daily * PRICE, weekly=weekly * PRICE if weekly else None, timezone=zone, coaching_share=share
        )
        self.zone = ZoneInfo(zone)
        self.now = datetime(2026, 1, 1, 22, tzinfo=UTC) + timedelta(days=start)
        self.treasury = Treasury(self.caps, TreasuryState())
        self.tasks = {name: Task(name) for name in ("a", "b", "c")}
        self.outbox: deque[Draw] = deque()
        self.paid: dict[tuple[str, str], Decimal] = {}
        self.born: dict[str, tuple[str, str]] = {}

    def periods(self) -> tuple[str, str]:
        day = self.now.astimezone(self.zone).date()
        year, week, _ = day.isocalendar()
        return str(day), f"{year}-{week}"

    def post(self, letters: list[Letter]) -> None:
        for name, word in letters:
            self.tasks[name].inbox.append(word)

    @rule(name=st.sampled_from("abc"), burst=st.integers(1, 40), coaching=st.booleans())
    def requests_come(self, name: str, burst: int, coaching: bool) -> None:
        task, waiting = self.tasks[name], Decimal(0)
        for _ in range(burst):
            try:
                route = task.ask(self.now, COACH if coaching else ASK)
            except BudgetExhausted:
                continue
            if route is None:
                waiting += PRICE
        for request_id in task.flying - self.born.keys():
            self.born[request_id] = self.periods()
        if word := task.word(waiting, self.now):
            self.outbox.append(word)

    @rule(name=st.sampled_from("abc"), share=st.sampled_from(["0", "0.3", "1"]), how_many=st.integers(1, 40))
    def calls_end(self, name: str, share: str, how_many: int) -> None:
        task = self.tasks[name]
        for request_id in sorted(task.flying)[:how_many]:
            cost = PRICE * Decimal(share)
            task.end(request_id, cost, self.now)
            for period in self.born.pop(request_id):
                self.paid[period, ""] = self.paid.get((period, ""), Decimal(0)) + cost
        if word := task.word(Decimal(0), self.now):
            self.outbox.append(word)

    @precondition(lambda self: self.outbox)
    @rule()
    def the_budget_hears(self) -> None:
        self.post(self.treasury.draw(self.outbox.popleft(), self.now))

    @rule(name=st.sampled_from("abc"))
    def a_task_hears(self, name: str) -> None:
        task = self.tasks[name]
        if task.inbox:
            task.hear(self.now)
        if word := task.word(Decimal(0), self.now):
            self.outbox.append(word)

    @rule(minutes=st.sampled_from([1, 60, 600, 2000]))
    def time_passes(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)
        self.post(self.treasury.clock(self.now))

    @rule()
    def the_budget_rolls_over(self) -> None:
        state = TreasuryState.model_validate_json(self.treasury.state.model_dump_json())
        self.treasury = Treasury(self.treasury.settings, state)

    @rule(factor=st.integers(1, 3))
    def the_cap_is_raised(self, factor: int) -> None:
        """Upwards only: under a lowered cap what is spent stays spent."""
        assert self.caps.daily is not None
        self.caps = self.caps.model_copy(update={"daily": self.caps.daily + factor * PRICE})
        self.post(self.treasury.configure(self.caps, self.now))

    @rule(frozen=st.booleans())
    def an_operator_freezes(self, frozen: bool) -> None:
        self.post(self.treasury.freeze(frozen, self.now))

    @invariant()
    def no_cap_is_passed(self) -> None:
        if not hasattr(self, "caps"):
            return
        books = {period: amount for (period, _), amount in self.paid.items()}
        for periods in self.born.values():
            for period in periods:
                books[period] = books.get(period, Decimal(0)) + PRICE
        day, week = self.periods()
        assert books.get(day, 0) <= (self.caps.daily or 0)
        assert self.caps.weekly is None or books.get(week, 0) <= self.caps.weekly

    @invariant()
    def what_is_granted_fits_under_the_caps_and_covers_what_tasks_spend(self) -> None:
        if not hasattr(self, "caps"):
            return
        for cap in self.treasury.status(self.now).caps:
            assert cap.settled + cap.reserved <= cap.cap
        for task in self.tasks.values():
            held = self.treasury.state.holders.get(task.name)
            for day, lease in task.accounts.purse.grants.leases.items():
                assert task.accounts.purse._used(lease) <= lease.limit
                if held and day in held.leases:
                    assert lease.limit <= held.leases[day].limit


TestManyTasksOneBudget = ManyTasksOneBudget.TestCase
TestManyTasksOneBudget.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


class Together:
    """Tasks and a budget whose words arrive at once."""

    def __init__(self, *names: str, **caps: str | float) -> None:
        values = {name: Decimal(cap) if isinstance(cap, str) else cap for name, cap in caps.items()}
        self.now = T0
        self.treasury = Treasury(BudgetSettings.model_validate(values), TreasuryState())
        self.tasks = {name: Task(name) for name in names}
        self.posted: list[Letter] = []

    def ask(self, name: str, route: Route = ASK) -> Route:
        """Raises `BudgetExhausted`."""
        task = self.tasks[name]
        for _ in range(3):
            funded = task.ask(self.now, route)
            if funded is not None:
                return funded
            self.say(task, PRICE)
            self.settle_talk()
        raise AssertionError("neither room nor a refusal")

    def say(self, task: Task, need: Decimal = Decimal(0)) -> None:
        if word := task.word(need, self.now):
            self.posted += self.treasury.draw(word, self.now)

    def settle_talk(self) -> None:
        while self.posted:
            name, word = self.posted.pop(0)
            self.tasks[name].inbox.append(word)
            self.tasks[name].hear(self.now)
            self.say(self.tasks[name])


def spend(together: Together, name: str, calls: int) -> int:
    """How many of the calls were made, each at its full price."""
    made = 0
    for _ in range(calls):
        try:
            together.ask(name)
        except BudgetExhausted:
            continue
        made += 1
        task = together.tasks[name]
        for request_id in list(task.flying):
            task.end(request_id, PRICE, together.now)
    return made


def test_a_task_uses_what_others_leave_to_the_last_cent() -> None:
    together = Together("a", "b", daily="0.10")
    assert spend(together, "b", 1) == 1
    assert spend(together, "a", 50) == 9
    assert spend(together, "b", 5) == 0
    status = together.treasury.status(together.now)
    assert (status.caps[0].settled + status.caps[0].reserved, status.caps[0].cap) == (Decimal("0.10"), Decimal("0.10"))


def test_a_cap_for_one_call_is_enough_for_one_call_whoever_needs_it() -> None:
    together = Together("a", "b", "c", daily="0.01")
    assert spend(together, "c", 3) == 1
    assert spend(together, "a", 3) == 0


def test_unused_money_of_one_task_is_recalled_before_another_is_refused() -> None:
    together = Together("hoarder", "late", daily="1.00", coaching_share=1.0)
    together.ask("hoarder")
    held = together.treasury.status(together.now).leases["hoarder"].limit
    assert held > PRICE
    assert spend(together, "late", 200) == 99


def test_a_recalled_task_that_never_answers_holds_the_others_up_for_seconds_only() -> None:
    together = Together("silent", "late", daily="1.00", coaching_share=1.0)
    together.ask("silent")
    late, silent = together.tasks["late"], together.tasks["silent"]
    free = Decimal("1.00") - together.treasury.status(together.now).leases["silent"].limit
    word = late.accounts.purse.draw("late", late.life, free + PRICE, together.now)
    assert [(name, type(letter)) for name, letter in together.treasury.draw(word, together.now)] == [("silent", Recall)]
    assert together.treasury.next_due(together.now) == together.now + RECALL_FOR
    letters = together.treasury.clock(together.now + RECALL_FOR)
    grant = next(letter for name, letter in letters if name == "late")
    assert isinstance(grant, Grant)
    assert (grant.dry, grant.lease.limit) == (True, free)
    assert silent.accounts.purse.room(together.now) > 0


def test_coaching_pauses_before_requests_that_only_the_remote_model_can_answer() -> None:
    together = Together("taught", "new", daily="1.00")
    together.tasks["taught"] = Task("taught", phase=Phase.COACHING, version=1)
    routes = [together.ask("taught", COACH) for _ in range(150)]
    coached = sum(route.remote for route in routes)
    assert 85 <= coached <= 91
    assert all(route.reason is RouteReason.BUDGET for route in routes if not route.remote)
    assert spend(together, "new", 50) == 100 - coached


def test_money_that_was_granted_yesterday_counts_in_this_week_only_as_far_as_it_was_spent() -> None:
    together = Together("a", "b", daily="1.00", weekly="1.50", coaching_share=1.0)
    assert spend(together, "a", 60) == 60
    together.now += timedelta(days=1)
    together.posted += together.treasury.clock(together.now)
    together.settle_talk()
    assert together.treasury.status(together.now).caps[1].settled == Decimal("0.60")
    assert spend(together, "b", 200) == 90


def test_a_frozen_budget_grants_nothing_and_takes_back_what_is_unused() -> None:
    together = Together("a", daily="1.00")
    together.ask("a")
    together.posted += together.treasury.freeze(True, together.now)
    together.settle_talk()
    lease = together.treasury.status(together.now).leases["a"]
    assert lease.limit == PRICE
    with pytest.raises(BudgetExhausted):
        together.ask("a")
    together.posted += together.treasury.freeze(False, together.now)
    together.settle_talk()
    assert together.ask("a").remote


def test_a_task_started_anew_gets_no_second_allowance_and_loses_none() -> None:
    """The life before is audited: what the store says it spent stays spent, the rest is free again."""
    together = Together("a", daily="0.10", coaching_share=1.0)
    assert spend(together, "a", 4) == 4
    together.tasks["a"] = Task("a", life=1)
    before_the_audit = spend(together, "a", 20)
    assert before_the_audit + 4 < 10
    together.now += timedelta(minutes=1)
    together.treasury.audited("a", {"2026-03-02": Decimal("0.04")})
    assert before_the_audit + spend(together, "a", 20) == 6


def test_a_budget_that_lost_its_memory_grants_nothing_before_the_tasks_have_told_what_they_hold() -> None:
    together = Together("a", "b", daily="0.50", coaching_share=1.0)
    assert spend(together, "a", 4) == 4
    held = together.treasury.status(together.now).leases["a"].limit
    together.treasury = Treasury(together.treasury.settings, TreasuryState())
    letters = together.treasury.found({"a": {"2026-03-02": Decimal("0.04")}}, together.now)
    assert [(name, type(letter)) for name, letter in letters] == [("a", Recall)]
    b = together.tasks["b"]
    assert b.ask(together.now) is None
    assert together.treasury.draw(b.accounts.purse.draw("b", "0", PRICE, together.now), together.now) == []
    together.posted += letters
    together.settle_talk()
    assert together.treasury.state.found == {}
    assert b.accounts.purse.room(together.now) > 0
    assert held + b.accounts.purse.room(together.now) <= Decimal("0.50") + held - Decimal("0.04")
    assert spend(together, "b", 100) + spend(together, "a", 100) == 46


def test_a_task_that_retires_gives_everything_back() -> None:
    together = Together("a", "b", daily="0.10", coaching_share=1.0)
    assert spend(together, "a", 2) == 2
    task = together.tasks["a"]
    leaving = task.accounts.purse.draw("a", task.life, Decimal(0), together.now, leaves=True)
    assert together.treasury.draw(leaving, together.now) == []
    assert "a" not in together.treasury.state.holders
    assert spend(together, "b", 20) == 8


def test_without_a_cap_a_task_gets_what_it_wants() -> None:
    together = Together("a")
    assert spend(together, "a", 500) == 500


def settings_with(budget: BudgetSettings) -> TaskSettings:
    return task_settings(budget=budget)


def test_requests_wait_for_calls_in_flight_only_if_nothing_can_stand_in() -> None:
    used = settings_with(BudgetSettings(daily=PRICE, coaching_share=1))
    alone = Accounts(used, LifecycleState())
    assert alone.fund(ASK, request(1), T0, patient=True).remote
    with pytest.raises(RoomAwaited):
        alone.fund(ASK, request(2), T0, patient=True)
    helped = Accounts(used, LifecycleState(version=1, phase=Phase.COACHING))
    assert helped.fund(COACH, request(1), T0, patient=True).remote
    assert helped.fund(COACH, request(2), T0, patient=True).reason is RouteReason.BUDGET


def test_on_exhausted_reject_fails_rather_than_serve_a_local_answer_in_its_place() -> None:
    rejecting = Accounts(
        settings_with(BudgetSettings(daily=Decimal(0), on_exhausted="reject", coaching_share=1)),
        LifecycleState(version=1, phase=Phase.COACHING),
    )
    with pytest.raises(BudgetExhausted, match="2026-03-03 00:00 UTC"):
        rejecting.fund(ASK, request(1), T0, patient=True)


def test_what_was_found_in_the_store_stays_counted_beside_leases_of_this_budget() -> None:
    together = Together("a", daily="0.10", coaching_share=1.0)
    together.treasury.found({"a": {"2026-03-02": Decimal("0.06")}}, together.now)
    assert spend(together, "a", 30) == 4


def test_a_lease_that_is_closed_twice_is_counted_once() -> None:
    together = Together("a", daily="1.00", weekly="1.00", coaching_share=1.0)
    assert spend(together, "a", 5) == 5
    together.now += timedelta(days=1)
    purse = together.tasks["a"].accounts.purse
    for _ in range(2):
        together.treasury.draw(purse.draw("a", "0", Decimal(0), together.now), together.now)
        purse.unanswered(together.now)
    assert together.treasury.state.spent == {"2026-03-02": Decimal("0.05")}


def test_a_call_dearer_than_its_upper_bound_does_not_break_the_budget() -> None:
    together = Together("a", daily="0.01", coaching_share=1.0)
    together.ask("a")
    task = together.tasks["a"]
    task.end(next(iter(task.flying)), Decimal("0.02"), together.now)
    together.say(task, PRICE)
    together.settle_talk()
    assert together.treasury.status(together.now).caps[0].settled == Decimal("0.02")


def test_without_a_budget_to_tell_it_a_lease_that_is_over_is_not_told_again_and_again() -> None:
    together = Together("a", daily="1.00")
    assert spend(together, "a", 1) == 1
    together.now += timedelta(days=1)
    purse = together.tasks["a"].accounts.purse
    purse.draw("a", "0", Decimal(0), together.now)
    purse.unanswered(together.now)
    assert not purse.speaks(together.now)


def test_a_task_that_leaves_with_calls_in_flight_is_still_counted() -> None:
    together = Together("a", daily="0.10", coaching_share=1.0)
    together.ask("a")
    leaving = together.tasks["a"].accounts.purse.draw("a", "0", Decimal(0), together.now, leaves=True)
    together.treasury.draw(leaving, together.now)
    assert together.treasury.state.adrift == {"a": {"2026-03-02": PRICE}}


def test_a_budget_that_had_no_caps_for_a_while_learns_what_was_spent_meanwhile() -> None:
    """`""` is what all tasks spent on earlier days; what a holder has reported is not counted again."""
    together = Together("a", "b", daily="0.10", weekly="0.30", coaching_share=1.0)
    together.now += timedelta(days=1)
    assert spend(together, "a", 3) == 3
    together.say(together.tasks["a"])
    together.settle_talk()
    spent = {"": {"2026-03-02": Decimal("0.20")}, "a": {"2026-03-03": Decimal("0.04")}}
    together.posted += together.treasury.found(spent, together.now)
    together.settle_talk()
    daily, weekly = together.treasury.status(together.now).caps
    assert weekly.settled + weekly.reserved == daily.settled + daily.reserved + Decimal("0.20")
    assert Decimal("0.04") <= daily.settled + daily.reserved <= Decimal("0.10")
    assert spend(together, "b", 30) + spend(together, "a", 30) <= 6


def test_a_full_cap_for_all_tasks_is_told_once_a_day() -> None:
    together = Together("a", daily="0.01", coaching_share=1.0)
    task = together.tasks["a"]
    assert spend(together, "a", 3) == 1
    assert task.accounts.shortage(together.now) is not None
    assert task.accounts.shortage(together.now) is None
    assert task.accounts.shortage(together.now + timedelta(days=1)) is not None


def test_a_request_whose_end_nobody_knows_is_counted_as_spent_if_money_was_set_aside() -> None:
    accounts = Accounts(settings_with(BudgetSettings(daily=Decimal(1))), LifecycleState())
    assert accounts.fund(ASK, request(1), T0).remote
    for name in ("r1", "r1", "never"):
        accounts.give_up(name, T0)
    assert (accounts.state.spend, accounts.unknown().calls) == (PRICE, 1)
