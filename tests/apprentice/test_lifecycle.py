"""The brain as a whole: the promises that only its parts together can keep."""

import random
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import settings as limits
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from apprentice.accounting import BudgetExhausted
from apprentice.lifecycle import REASON_KEPT, Lifecycle
from apprentice.messages import (
    AlertKind,
    ApplySettings,
    FineTuneOutcome,
    ForceRemote,
    PauseCoaching,
    Phase,
    RaiseAlert,
    Reconcile,
    RequestOutcome,
    Resume,
    Retrain,
    Route,
    RouteReason,
    Split,
    Unknown,
)
from apprentice.settings import BudgetSettings, LocalSettings, SamplingSettings, TaskSettings
from apprentice.state import LifecycleState
from tests.apprentice.brain import (
    NEVER,
    PRICE,
    T0,
    World,
    autonomous,
    check,
    coached,
    comparisons,
    failed,
    local_answer,
    remote_answer,
    request,
    task_settings,
    validated,
)

# --- never overspent -------------------------------------------------------------------------------------------


class ConcurrentSpending(RuleBasedStateMachine):
    """Hundreds of requests in flight, in any order of admit, defer, failure and answer, over days and restarts."""

    @initialize(
        daily=st.integers(0, 40),
        weekly=st.none() | st.integers(0, 100),
        version=st.none() | st.just(1),
        phase=st.sampled_from(Phase),
        rate=st.floats(0.02, 1),
        zone=st.sampled_from(["UTC", "Europe/Berlin", "Pacific/Apia"]),
    )
    def begin(self, daily: int, weekly: int | None, version: int | None, phase: Phase, rate: float, zone: str) -> None:
        budget = BudgetSettings(daily=daily * PRICE, weekly=weekly * PRICE if weekly else None, timezone=zone)
        phase = phase if version else Phase.COLLECTING
        state = LifecycleState(phase=phase, version=version, rate=rate, defer_below=0.5)
        self.brain = Lifecycle(task_settings(budget=budget, local=NEVER), state)
        self.now, self.sent, self.rng = T0, 0, random.Random(0)
        self.flying: dict[str, Route] = {}
        self.paid = Decimal(0)

    @rule(burst=st.integers(1, 150), seed=st.integers(0, 1000))
    def admit(self, burst: int, seed: int) -> None:
        rng = random.Random(seed)
        for _ in range(burst):
            self.sent += 1
            asked = request(self.sent)
            try:
                route = self.brain.admit(asked, rng.random(), self.now)
            except BudgetExhausted:
                assert self.brain.state.version is None, "a free local model was blocked by a cap"
                self.brain.observe(
                    RequestOutcome(request_id=asked.request_id, route=None, error="BudgetExhausted"), self.now
                )
                continue
            self.flying[asked.request_id] = route

    @precondition(lambda self: self.flying)
    @rule(share=st.floats(0, 1), seed=st.integers(0, 1000), end=st.sampled_from(["answer", "fail", "lose", "repeat"]))
    def finish_some(self, share: float, seed: int, end: str) -> None:
        rng = random.Random(seed)
        for name in [name for name in self.flying if rng.random() < share]:
            route = self.flying.pop(name)
            if not route.remote and rng.random() < 0.5:
                asked = request(int(name[1:]))
                route = self.brain.defer(asked, route, RouteReason.DEFERRED, self.now)
            self.observe(name, route, end, rng)

    def observe(self, name: str, route: Route, end: str, rng: random.Random) -> None:
        version = self.brain.state.version
        local = local_answer(version, rng.random()) if route.local else None
        cost = PRICE * Decimal(rng.choice(["0", "0.5", "1"]))
        answered = route.remote and end == "answer"
        lost = PRICE if route.remote and end == "lose" else Decimal(0)
        self.paid += cost if answered else lost
        outcome = RequestOutcome(
            request_id=name,
            route=route,
            remote=remote_answer(cost) if answered else None,
            local=local,
            score=float(rng.random() < 0.8) if answered and local else None,
            replayed=end == "repeat",
            error=None if answered or local else "Unavailable",
            lost=lost,
        )
        self.brain.observe(outcome, self.now)

    @rule(hours=st.integers(1, 30))
    def wait(self, hours: int) -> None:
        self.now += timedelta(hours=hours)

    @rule()
    def restart(self) -> None:
        state = LifecycleState.model_validate_json(self.brain.state.model_dump_json())
        self.brain = Lifecycle(self.brain.settings, state)

    @rule(daily=st.integers(0, 40))
    def change_the_cap(self, daily: int) -> None:
        """Upwards only: what a lower cap means is a test of its own."""
        old = self.brain.settings.budget
        higher = old.model_copy(update={"daily": max(old.daily or Decimal(0), daily * PRICE)})
        changed = self.brain.settings.model_copy(update={"budget": higher})
        self.brain.operate(ApplySettings(settings=changed), self.now)

    @invariant()
    def settled_and_reserved_stay_under_every_cap(self) -> None:
        for cap in self.brain.status(self.now).caps:
            assert cap.settled + cap.reserved <= cap.cap

    @invariant()
    def every_reservation_belongs_to_a_request_in_flight_and_all_spend_is_counted(self) -> None:
        held = {name for name, route in self.flying.items() if route.remote}
        assert set(self.brain.state.ledger.reservations) == held
        assert self.brain.state.spend == self.paid


TestConcurrentSpending = ConcurrentSpending.TestCase
TestConcurrentSpending.settings = limits(max_examples=25, stateful_step_count=25, deadline=None)


def capped(daily: str, coaching_share: float = 1.0, **budget: Any) -> TaskSettings:
    caps = BudgetSettings(daily=Decimal(daily), coaching_share=coaching_share, **budget)
    return task_settings(budget=caps, local=NEVER)


def test_spend_never_passes_the_cap_under_300_concurrent_requests() -> None:
    brain = Lifecycle(capped("1.00"))
    for number in range(100):
        assert brain.admit(request(number), 0.0, T0).remote
    for number in range(100, 300):
        with pytest.raises(BudgetExhausted, match="2026-03-03 00:00 UTC") as refused:
            brain.admit(request(number), 0.0, T0)
        assert refused.value.resets == T0.replace(hour=0) + timedelta(days=1)
    assert len(brain.state.ledger.reservations) == 100


def test_an_exhausted_budget_lets_the_local_model_serve_degraded_with_one_alert_a_day() -> None:
    world = World(coached(capped("0.05")))
    world.send(50)
    state = world.brain.state
    assert (state.spend, state.local, state.degraded, state.failed) == (Decimal("0.05"), 45, 45, 0)
    assert [alert.kind for alert in world.alerts] == [AlertKind.BUDGET]
    world.now += timedelta(days=1)
    world.send(10)
    assert (state.spend, len(world.alerts)) == (Decimal("0.10"), 2)


@pytest.mark.parametrize("phase", [Phase.COACHING, Phase.AUTONOMOUS])
def test_a_free_local_model_is_never_blocked_by_a_cap_of_nothing(phase: Phase) -> None:
    brain = coached(capped("0"))
    brain.state.phase = phase
    brain.operate(ForceRemote(), T0)
    assert not brain.admit(request(1), 0.0, T0).remote
    brain.operate(Resume(), T0)
    route = brain.admit(request(2), 0.0, T0)
    assert (route.remote, route.local, route.reason) == (False, True, RouteReason.BUDGET)


def test_a_cap_lowered_below_what_is_settled_stops_calls_without_a_crash() -> None:
    world = World(coached(capped("1")))
    world.send(30)
    world.act(world.brain.operate(ApplySettings(settings=capped("0.10")), world.now))
    world.send(10)
    assert world.brain.state.spend == Decimal("0.30")
    cap = world.brain.status(world.now).caps[0]
    assert (cap.settled, cap.cap) == (Decimal("0.30"), Decimal("0.10"))


def test_a_call_that_nobody_knows_the_end_of_counts_as_spent() -> None:
    brain = Lifecycle(capped("1"))
    route = brain.admit(request(1), 0.0, T0)
    brain.observe(RequestOutcome(request_id="r1", route=route, error="OutcomeUnknown", lost=PRICE), T0)
    assert (brain.state.spend, brain.status(T0).caps[0].settled, brain.state.failed) == (PRICE, PRICE, 1)


def in_doubt() -> Lifecycle:
    """Of request r1 nobody knows whether it was paid."""
    brain = Lifecycle(capped("1"))
    route = brain.admit(request(1), 0.0, T0)
    brain.observe(RequestOutcome(request_id="r1", route=route, error="TimedOut", lost=PRICE, in_doubt=PRICE), T0)
    assert brain.status(T0).unknown == Unknown(calls=1, upper_bound=PRICE)
    return brain


@pytest.mark.parametrize("replayed", [True, False])
def test_the_answer_to_a_call_in_doubt_says_what_it_cost(replayed: bool) -> None:
    brain, cost = in_doubt(), PRICE / 4
    route = brain.admit(request(1), 0.0, T0)
    brain.observe(RequestOutcome(request_id="r1", route=route, remote=remote_answer(cost), replayed=replayed), T0)
    assert (brain.state.spend, brain.status(T0).caps[0].settled, brain.status(T0).unknown.calls) == (cost, cost, 0)


def test_another_models_answer_says_nothing_about_a_call_in_doubt() -> None:
    brain = in_doubt()
    route = brain.admit(request(1), 0.0, T0)
    brain.observe(RequestOutcome(request_id="r1", route=route, remote=local_answer(1), replayed=True), T0)
    assert (brain.state.spend, brain.status(T0).unknown.calls) == (PRICE, 1)


def test_a_call_in_doubt_is_reconciled_once_in_the_period_in_which_it_was_made() -> None:
    brain = in_doubt()
    for _ in range(2):
        brain.operate(Reconcile(request_id="r1", cost=PRICE / 2), T0)
    assert (brain.state.spend, brain.status(T0).caps[0].settled) == (PRICE / 2, PRICE / 2)
    late, tomorrow = in_doubt(), T0 + timedelta(days=1)
    late.operate(Reconcile(request_id="r1", cost=Decimal(0)), tomorrow)
    assert late.state.spend == late.status(tomorrow).caps[0].settled == Decimal(0)


@pytest.mark.parametrize("replayed", [True, False])
def test_what_a_local_answer_cost_is_counted_against_no_cap(replayed: bool) -> None:
    brain = Lifecycle(capped("1"))
    route = brain.admit(request(1), 0.0, T0)
    costly = local_answer(1).model_copy(update={"cost": PRICE * 50})
    # In the remote answer's place: the request had been served before, by the local model.
    brain.observe(RequestOutcome(request_id="r1", route=route, remote=costly, local=costly, replayed=replayed), T0)
    assert (brain.state.spend, brain.status(T0).caps[0].settled) == (Decimal(0), Decimal(0))


def test_what_a_replayed_request_lost_is_counted_too() -> None:
    brain = Lifecycle(capped("1"))
    route = brain.admit(request(1), 0.0, T0)
    brain.observe(RequestOutcome(request_id="r1", route=route, replayed=True, lost=PRICE), T0)
    assert (brain.state.spend, brain.status(T0).caps[0].settled) == (PRICE, PRICE)


def test_savings_take_the_average_price_of_the_calls_that_were_made() -> None:
    world = World(autonomous(comparisons(*[1.0] * 100, confidence=1.0)))
    world.send(2000)
    status = world.brain.status(world.now)
    assert status.spend == PRICE * sum(route.remote for route in world.routes)
    assert status.all_remote == pytest.approx(PRICE * 2000, rel=Decimal("0.01"))
    assert status.savings > PRICE * 1500
    assert sum(day.requests for day in status.days) == 2000


# --- phases ----------------------------------------------------------------------------------------------------


def test_a_task_goes_through_the_phases_without_a_hand_on_it() -> None:
    world = World(Lifecycle(task_settings()), agrees=lambda confidence: 0.97)
    world.send(49)
    assert (world.brain.state.phase, world.started) == (Phase.COLLECTING, [])
    world.send(1)
    assert world.started[0].request.reason == "the first 50 examples"
    world.end_fine_tune(comparisons(*[1.0] * 8, 0.0, 1.0))
    assert world.brain.state.phase is Phase.COACHING
    for _ in range(60):
        world.send(50)
        if world.brain.state.training:
            world.end_fine_tune(comparisons(*[1.0] * 97, 0.0, 0.0, 0.0, version=world.brain.state.training))
    assert world.brain.status(world.now).phase is Phase.AUTONOMOUS
    assert world.brain.state.rate < 0.3
    assert world.brain.state.local > 1500


def test_a_model_that_was_promoted_early_is_tried_when_the_last_example_comes() -> None:
    world = World(Lifecycle(task_settings()))
    world.send(30)
    world.act(world.brain.operate(Retrain(), world.now))
    world.end_fine_tune(comparisons(*[1.0] * 6))
    before = world.brain.state.phase
    world.send(20)
    assert (before, world.brain.state.phase) == (Phase.COLLECTING, Phase.COACHING)


def test_a_comparison_of_a_replaced_version_says_nothing_about_its_successor() -> None:
    brain = coached(training=2)
    route = brain.admit(request(1), 0.0, T0)
    brain.observe(validated(2, comparisons(*[0.6] * 30, version=2)), T0)
    before = brain.state.window
    late = RequestOutcome(
        request_id="r1", route=route, remote=remote_answer(), local=local_answer(1), score=0.0, example=Split.TRAIN
    )
    brain.observe(late, T0)
    assert (brain.state.window, brain.state.examples) == (before, 1001)


# --- the rate in phase 3 ---------------------------------------------------------------------------------------


def test_a_deferred_answer_is_no_fair_draw_and_an_unsure_one_that_the_coin_chose_is() -> None:
    brain = autonomous(comparisons(*[1.0] * 90, confidence=0.9) + comparisons(*[0.0] * 10, confidence=0.1))
    brain.state.rate, brain.state.defer_below = 0.02, 0.5
    before = brain.state.window
    assert check(brain, 1, coin=0.99, score=0.0, confidence=0.2).reason is RouteReason.DEFERRED
    assert brain.state.window == before
    brain.state.rate, brain.state.defer_below = 0.02, 0.5
    assert check(brain, 2, coin=0.0, score=0.0, confidence=0.2).reason is RouteReason.SPOT_CHECK
    chosen = brain.state.window[-1]
    assert (chosen.confidence, chosen.propensity) == (0.2, 1.0)  # it would have been compared at any coin


def test_quality_is_not_judged_by_the_unsure_answers_alone_while_coaching_is_paused() -> None:
    window = comparisons(*[1.0] * 90, confidence=0.99) + comparisons(*[0.0] * 10, confidence=0.3)
    world = World(
        autonomous(window, task_settings(local=NEVER)),
        confidence=lambda rng: 0.99 if rng.random() < 0.85 else 0.3,
        agrees=lambda confidence: confidence or 0.0,
    )
    world.act(world.brain.operate(PauseCoaching(), T0))
    before = world.brain.state.window
    world.send(1500)
    assert sum(route.reason is RouteReason.DEFERRED for route in world.routes) > 100
    assert (world.alerts, world.brain.state.phase, world.brain.state.window) == ([], Phase.AUTONOMOUS, before)


# --- fine-tuning -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ends", ["failed", "rejected"])
def test_a_fine_tune_that_does_not_succeed_waits_for_another_batch(ends: str) -> None:
    world, at = World(Lifecycle(task_settings())), list[int]()
    for _ in range(1000):
        world.send()
        number = world.brain.state.training
        at += [world.sent] if number else []
        if number and ends == "failed":
            world.act(world.brain.observe(failed(number), world.now))
        elif number:
            world.end_fine_tune(comparisons(*[0.0] * 10), promoted=False)
    assert all(later >= before + max(100, before / 5) for before, later in pairwise(at))
    assert len(at) == len(world.started) >= 8
    assert world.brain.state.phase is Phase.COLLECTING
    trouble = [alert.kind for alert in world.alerts]
    assert trouble == ([AlertKind.TRAINING] * len(world.started) if ends == "failed" else [])


def test_a_retraining_that_a_drop_asks_for_while_another_runs_follows_it() -> None:
    world = World(autonomous(comparisons(*[1.0] * 80, confidence=1.0)), agrees=lambda confidence: 0.6)
    world.send()
    world.act(world.brain.operate(Retrain(), world.now))
    while not world.brain.state.coaching:
        world.send()
    assert len(world.started) == 1
    world.end_fine_tune(comparisons(*[0.1] * 10), promoted=False)
    assert [s.request.number for s in world.started] == [2, 3]
    assert "agreement fell" in world.started[1].request.reason
    world.end_fine_tune(comparisons(*[0.1] * 10), promoted=False)
    assert len(world.started) == 2


def test_a_promotion_answers_the_retraining_that_was_wanted() -> None:
    world = World(autonomous(comparisons(*[1.0] * 80, confidence=1.0)), agrees=lambda confidence: 0.6)
    world.send()
    world.act(world.brain.operate(Retrain(), world.now))
    while not world.brain.state.coaching:
        world.send()
    world.end_fine_tune(comparisons(*[1.0] * 100, version=2))
    assert (world.brain.state.training, world.brain.state.coaching) == (None, False)


def test_an_overdue_fine_tune_is_given_up_and_its_late_end_ignored() -> None:
    brain = coached(task_settings(local=LocalSettings(training_timeout=timedelta(hours=1))), examples=1500)
    number = brain.due(T0) and brain.state.training
    due = brain.next_due()
    assert due is not None
    assert brain.due(due - timedelta(seconds=1)) == []
    (alert,) = brain.due(due)
    assert isinstance(alert, RaiseAlert)
    assert "it never ended" in alert.alert.message
    assert brain.observe(validated(number or 0, comparisons(*[1.0] * 30)), due) == []
    assert brain.state.version == 1


def test_a_repeated_end_of_a_fine_tune_changes_nothing() -> None:
    brain = coached(training=2)
    brain.observe(validated(2, comparisons(*[0.8] * 30, version=2)), T0)
    before = brain.state.model_dump_json()
    assert brain.observe(validated(2, comparisons(*[0.8] * 30, version=2)), T0) == []
    assert brain.state.model_dump_json() == before


def test_an_error_of_many_pages_is_not_carried_along() -> None:
    brain = coached(training=2)
    brain.observe(failed(2, "no memory " * 100_000), T0)
    assert 100 < len(brain.state.versions[-1].reason) <= REASON_KEPT
    assert len(brain.state.model_dump_json()) < 8000


# --- orders ----------------------------------------------------------------------------------------------------


def test_a_forced_remote_ends_by_the_clock() -> None:
    brain, until = autonomous(comparisons(*[1.0] * 100, confidence=1.0)), T0 + timedelta(hours=2)
    brain.operate(ForceRemote(until=until), T0)
    assert brain.next_due() == until
    assert brain.admit(request(1), 0.99, until - timedelta(seconds=1)).reason is RouteReason.FORCED
    assert brain.admit(request(2), 0.99, until).reason is RouteReason.AUTONOMOUS
    brain.due(until)
    assert (brain.next_due(), brain.status(until).forced_remote) == (None, False)


def test_a_time_without_a_zone_is_refused_where_it_comes_in() -> None:
    with pytest.raises(ValueError, match="timezone"):
        ForceRemote.model_validate({"until": "2026-03-02T12:00:00"})


@pytest.mark.parametrize("order", [ForceRemote(), Resume(), PauseCoaching(), PauseCoaching(paused=False), Retrain()])
def test_an_order_given_twice_is_an_order_given_once(
    order: ForceRemote | Resume | PauseCoaching | Retrain,
) -> None:
    brain = coached()
    brain.operate(order, T0)
    once = brain.state.model_dump_json()
    assert brain.operate(order, T0) == []
    assert brain.state.model_dump_json() == once


def test_paused_coaching_starts_no_fine_tune_until_it_goes_on() -> None:
    world = World(Lifecycle(task_settings()))
    world.act(world.brain.operate(PauseCoaching(), T0))
    world.send(200)
    assert world.started == []
    world.act(world.brain.operate(PauseCoaching(paused=False), world.now))
    assert len(world.started) == 1


def test_retraining_needs_examples() -> None:
    assert Lifecycle(task_settings()).operate(Retrain(), T0) == []


def test_status_changes_nothing() -> None:
    world = World(autonomous(comparisons(*[0.9] * 60)))
    world.send(20)
    before = world.brain.state.model_dump_json()
    status = world.brain.status(world.now + timedelta(days=40))
    status.versions.clear()
    status.days.clear()
    assert world.brain.state.model_dump_json() == before


# --- replay ----------------------------------------------------------------------------------------------------


def lives() -> Iterator[World]:
    yield World(Lifecycle(task_settings(budget=BudgetSettings(daily=Decimal(3)))), agrees=lambda confidence: 0.93)
    yield World(autonomous(comparisons(*[1.0] * 60)), agrees=lambda confidence: 0.75, rng=random.Random(3))


def live(world: World, times: int) -> None:
    for _ in range(times):
        world.send(30)
        if world.brain.state.training:
            world.end_fine_tune(comparisons(*[1.0] * 28, 0.0, version=world.brain.state.training))


@pytest.mark.parametrize("which", [0, 1])
def test_the_same_inputs_give_the_same_state(which: int) -> None:
    one, other = list(lives())[which], list(lives())[which]
    live(one, 40)
    live(other, 40)
    assert one.brain.state.model_dump_json() == other.brain.state.model_dump_json()


@pytest.mark.parametrize("which", [0, 1])
def test_a_state_that_went_through_json_in_mid_flight_goes_on_identically(which: int) -> None:
    whole, cut = list(lives())[which], list(lives())[which]
    live(whole, 40)
    for _ in range(40):
        live(cut, 1)
        held = (
            cut.brain.admit(request(10**6), 0.0, cut.now)
            if cut.brain.accounts.budget.next_room(PRICE, cut.now) is None
            else None
        )
        state = LifecycleState.model_validate_json(cut.brain.state.model_dump_json())
        assert state == cut.brain.state
        cut.brain = Lifecycle(cut.brain.settings, state)
        if held is not None:
            cut.brain.accounts.budget.release("r1000000")
    assert whole.brain.state == cut.brain.state


def test_a_replayed_outcome_changes_nothing() -> None:
    brain = coached()
    before = brain.state.model_dump_json()
    route = brain.admit(request(1), 0.0, T0)
    again = RequestOutcome(
        request_id="r1", route=route, remote=remote_answer(), local=local_answer(1), score=1.0, replayed=True
    )
    assert brain.observe(again, T0) == []
    assert brain.state.model_dump_json() == before


def test_a_fine_tune_that_claims_a_promotion_without_a_validation_promotes_nothing() -> None:
    brain = coached(training=2)
    brain.observe(FineTuneOutcome(number=2, promoted=True, reason="?"), T0)
    assert (brain.state.version, brain.state.versions[-1].state) == (1, "failed")


# --- size and time ---------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_state_stays_small_after_a_long_life() -> None:
    """The largest window, every list full, 8,000 requests over eleven months: what is carried over fits 256 KiB."""
    settings = task_settings(
        sampling=SamplingSettings(window_size=1000, min_floor=0.2), budget=BudgetSettings(daily=Decimal(100))
    )
    world = World(
        autonomous(comparisons(*[1.0] * 1000, confidence=0.987654321012345), settings),
        confidence=lambda rng: rng.random(),
        agrees=lambda confidence: 0.9,
        between=timedelta(days=2) / 50,
    )
    sizes = []
    for batch in range(16):
        world.send(500)
        if world.brain.state.training:
            world.act(world.brain.observe(failed(world.brain.state.training, "x" * 10_000), world.now))
        for number in range(10):
            world.brain.state.record(
                world.brain.state.versions[-1].model_copy(update={"version": 1000 + batch * 10 + number})
            )
            world.act([world.brain.alarms.tell(AlertKind.QUALITY, "y" * 200, world.now)])
        sizes.append(len(world.brain.state.model_dump_json()))
    assert max(sizes) < 256 * 1024
    assert sizes[-1] < sizes[8] * 1.1
