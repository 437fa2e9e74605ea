"""What a brain collects for batches, when it sends it, what it learns of it."""

from datetime import datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from apprentice import batching
from apprentice.accounting import Room
from apprentice.lifecycle import Lifecycle
from apprentice.messages import (
    Action,
    AlertKind,
    BatchOutcome,
    Phase,
    RaiseAlert,
    Retire,
    Route,
    RouteReason,
    StartBatch,
)
from apprentice.settings import BudgetSettings, Price, TaskSettings
from tests.apprentice.brain import NEVER, PRICE, T0, autonomous, comparisons, local_answer, request, task_settings

HALF = PRICE / 2
ZERO = Decimal(0)


def batched(*, size: int = 3, every: timedelta = timedelta(hours=1), daily: str | None = None) -> TaskSettings:
    budget = BudgetSettings(daily=None if daily is None else Decimal(daily), coaching_share=1.0)
    settings = task_settings(local=NEVER, budget=budget)
    remote = settings.remote.model_copy(update={"batch": True, "batch_size": size, "batch_every": every})
    return settings.model_copy(update={"remote": remote})


def serving(settings: TaskSettings) -> Lifecycle:
    return autonomous(comparisons(*[1.0] * 60), settings)


def checks(brain: Lifecycle, count: int, now: datetime = T0, first: int = 0) -> list[Action]:
    """What follows from so many spot checks."""
    route = Route(remote=False, local=True, reason=RouteReason.SPOT_CHECK, propensity=0.5, version=1, later=True)
    return [
        action
        for number in range(first, first + count)
        for action in brain.ask_later(request(number), local_answer(1, 0.9), route, now)
    ]


def outcome(number: int = 1, **fields: object) -> BatchOutcome:
    return BatchOutcome.model_validate({"number": number, "schema_version": 1} | fields)


def test_a_spot_check_is_served_by_the_local_model_and_checked_later() -> None:
    brain = serving(batched())
    brain.state.rate = 0.5
    route = brain.admit(request(1), 0.4, T0)
    assert (route.remote, route.local, route.later, route.reason) == (False, True, True, RouteReason.SPOT_CHECK)
    assert route.propensity == 0.5
    assert not brain.state.ledger.reservations
    assert not brain.admit(request(2), 0.6, T0).later


def test_nothing_but_a_spot_check_waits() -> None:
    settings = batched()
    assert not Lifecycle(settings).admit(request(1), 0.0, T0).later
    brain = serving(settings)
    brain.state.coaching = True
    assert brain.policy(0.0, T0).remote, "a model in doubt is checked at once"
    brain.state.coaching, brain.state.forced = False, True
    assert brain.policy(0.0, T0).remote
    assert serving(task_settings(local=NEVER)).policy(0.0, T0).remote, "batch is off"


def test_a_batch_is_sent_when_it_is_full() -> None:
    brain = serving(batched(size=3))
    actions = checks(brain, 4)
    assert [action.type for action in actions] == ["enqueue", "enqueue", "enqueue", "start_batch", "enqueue"]
    sent = actions[3]
    assert isinstance(sent, StartBatch)
    assert (sent.request.number, sent.request.size) == (1, 3)
    assert brain.status(T0).batch.model_dump(include={"collected", "under_way"}) == {"collected": 1, "under_way": 3}


def test_a_batch_is_sent_when_its_first_question_is_old() -> None:
    brain = serving(batched(every=timedelta(minutes=5)))
    assert brain.due(T0 + timedelta(days=1)) == []
    checks(brain, 1)
    ripe = T0 + timedelta(minutes=5)
    assert brain.next_due() == ripe
    assert brain.due(ripe - timedelta(seconds=1)) == []
    assert [action.type for action in brain.due(ripe)] == ["start_batch"]
    assert brain.due(ripe) == []


def test_a_batch_is_of_one_day_and_of_one_set_of_settings() -> None:
    brain = serving(batched(size=10))
    checks(brain, 1)
    assert [action.type for action in checks(brain, 1, T0 + timedelta(days=1), 1)] == ["start_batch", "enqueue"]
    brain.digest = "another"
    assert [action.type for action in checks(brain, 1, T0 + timedelta(days=1), 2)] == ["start_batch", "enqueue"]


def test_each_question_is_reserved_at_the_discount_and_settled_at_what_it_cost() -> None:
    brain = serving(batched(size=2, daily="1"))
    checks(brain, 2)
    (cap,) = brain.status(T0).caps
    assert (cap.reserved, cap.settled) == (2 * HALF, ZERO)
    brain.observe(outcome(answered=1, failed=1, cost=HALF), T0)
    (cap,) = brain.status(T0).caps
    assert (cap.reserved, cap.settled, brain.state.spend) == (ZERO, HALF, HALF)
    assert brain.observe(outcome(answered=1, cost=HALF), T0) == [], "a repeat changes nothing"
    assert brain.state.spend == HALF


def test_what_an_expired_batch_had_reserved_comes_back() -> None:
    brain = serving(batched(size=2, daily="1"))
    checks(brain, 2)
    actions = brain.observe(outcome(failed=2, error="it was not answered in time, and cancelled"), T0)
    assert [action.alert.kind for action in actions if isinstance(action, RaiseAlert)] == [AlertKind.PROVIDER]
    (cap,) = brain.status(T0).caps
    assert (cap.reserved, cap.settled, brain.state.spend) == (ZERO, ZERO, ZERO)


def test_calls_in_doubt_count_at_their_bound_until_they_are_reconciled() -> None:
    brain = serving(batched(size=2, daily="1"))
    checks(brain, 2)
    brain.observe(outcome(failed=2, in_doubt={"r0": HALF}, in_doubt_besides=HALF), T0)
    assert brain.status(T0).caps[0].settled == 2 * HALF
    assert brain.status(T0).unknown.calls == 1
    brain.accounts.reconcile("r0", Decimal(0), T0)
    assert (brain.status(T0).caps[0].settled, brain.status(T0).unknown.calls) == (HALF, 0)


def test_a_batch_that_is_never_heard_of_counts_as_paid() -> None:
    brain = serving(batched(size=2, daily="1"))
    checks(brain, 2)
    late = T0 + batching.GIVEN_UP_AFTER
    assert brain.next_due() == late
    assert any(isinstance(action, RaiseAlert) for action in brain.due(late))
    assert brain.state.spend == 2 * HALF
    assert brain.observe(outcome(answered=2, cost=HALF), late) == []


def test_a_batch_teaches_a_task_that_has_no_version_yet() -> None:
    brain = Lifecycle(batched(size=2))
    for number in range(2):
        brain.backfill(request(number), T0)
    assert brain.observe(outcome(answered=2, examples=2, cost=HALF * 2), T0) == []
    assert brain.state.examples == 2


def test_comparisons_count_with_their_propensity_if_the_version_still_serves() -> None:
    brain = serving(batched(size=2))
    before = len(brain.state.window)
    checks(brain, 2)
    found = [*comparisons(1.0, version=1), *comparisons(0.0, version=7)]
    brain.observe(outcome(answered=2, cost=PRICE, examples=2, holdout=1, comparisons=found), T0)
    assert len(brain.state.window) == before + 1
    assert (brain.state.examples, brain.state.holdout) == (1002, 1)


def test_a_batch_that_proves_a_drop_ends_autonomy() -> None:
    brain = serving(batched(size=2))
    checks(brain, 2)
    actions = brain.observe(outcome(answered=2, comparisons=comparisons(*[0.0] * 60)), T0)
    assert brain.state.phase is Phase.COACHING
    assert any(isinstance(action, RaiseAlert) for action in actions)


def test_comparisons_from_before_a_fall_do_not_count_after_it() -> None:
    brain = serving(batched(size=2))
    checks(brain, 4)
    brain.observe(outcome(1, answered=2, comparisons=comparisons(*[0.0] * 60)), T0)
    assert brain.state.phase is Phase.COACHING
    before = list(brain.state.window)
    brain.observe(outcome(2, answered=2, comparisons=comparisons(1.0, 1.0)), T0)
    assert brain.state.window == before
    assert all(one.score == 0.0 for one in before), "those that proved it, and none from before"


def test_without_room_nothing_is_collected_and_the_answer_is_no_worse_for_it() -> None:
    brain = serving(batched(daily="0.012"))
    assert [action.type for action in checks(brain, 3)] == ["enqueue", "enqueue", "raise_alert"]
    asked = brain.backfill(request(9), T0)
    assert (asked.room, asked.actions) == (Room.IN_FLIGHT, [])


def test_a_retired_task_gives_back_what_it_collected_and_counts_what_it_sent() -> None:
    brain = serving(batched(size=2, daily="1"))
    checks(brain, 3)
    brain.operate(Retire(), T0)
    assert not brain.state.ledger.reservations
    assert brain.state.spend == 2 * HALF


@given(st.lists(st.tuples(st.integers(0, 30), st.booleans()), max_size=60), st.decimals(0, 1, places=3))
def test_no_order_of_questions_and_outcomes_passes_a_cap(steps: list[tuple[int, bool]], daily: Decimal) -> None:
    brain = serving(batched(size=4, daily=str(daily)))
    now, asked = T0, 0
    for hours, ends in steps:
        now += timedelta(hours=hours)
        under_way = list(brain.state.batches.under_way.items())
        if ends and under_way:
            number, (_, size) = under_way[0]
            brain.observe(outcome(number, answered=size, cost=size * HALF), now)
        else:
            asked += 1
            brain.backfill(request(asked), now)
        brain.due(now)
        (cap,) = brain.status(now).caps
        assert cap.settled + cap.reserved <= cap.cap


def test_the_bound_of_a_question_is_the_main_models_at_its_discount() -> None:
    settings = batched()
    dearer = settings.remote.model_copy(update={"price": Price(per_request=Decimal(5)), "batch": False})
    remote = settings.remote.model_copy(update={"additional_providers": [dearer]})
    assert batching.bound(settings.model_copy(update={"remote": remote}), request(1)) == HALF
