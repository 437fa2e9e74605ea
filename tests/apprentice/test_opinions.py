"""Second opinions: which answers get one, what they may cost, what they say."""

from decimal import Decimal

import pytest

from apprentice.lifecycle import Lifecycle
from apprentice.messages import (
    AlertKind,
    ApplySettings,
    AskOpinion,
    Opinion,
    OpinionCall,
    PauseCoaching,
    RaiseAlert,
    RequestOutcome,
    TaskRequest,
    Trouble,
)
from apprentice.settings import BudgetSettings, Price, ProviderSettings, TaskSettings
from tests.apprentice.brain import PRICE, T0, remote_answer, request, task_settings


def settings(share: float = 1.0, budget: BudgetSettings | None = None, model: str = "other") -> TaskSettings:
    task = task_settings(budget=budget)
    other = ProviderSettings(provider="simulated", model=model, price=Price(per_request=PRICE))
    remote = task.remote.model_copy(update={"additional_providers": [other], "second_opinions": share})
    return task.model_copy(update={"remote": remote})


class Desk:
    """A brain whose requests are all answered by the main teacher."""

    def __init__(self, task: TaskSettings) -> None:
        self.brain = Lifecycle(task)

    def serve(self, one: TaskRequest, coin: float = 0.5, **about: bool) -> list[OpinionCall]:
        route = self.brain.admit(one, 0.5, T0)
        outcome = RequestOutcome(request_id=one.request_id, route=route, remote=remote_answer(), **about)
        self.brain.observe(outcome, T0)
        actions = self.brain.second_opinion(one, outcome, "admission", coin, T0)
        return [action.call for action in actions if isinstance(action, AskOpinion)]

    def hear(self, call: OpinionCall, score: float | None, cost: Decimal = PRICE) -> None:
        in_doubt = Decimal(0) if score is not None else cost
        opinion = Opinion(request_id=call.opinion_id, score=score, cost=cost, in_doubt=in_doubt)
        self.brain.observe(opinion, T0)


def test_a_share_of_the_answers_gets_a_second_opinion() -> None:
    desk = Desk(settings(0.3))
    asked = [len(desk.serve(request(number), coin)) for number, coin in enumerate((0.0, 0.29, 0.3, 0.99))]
    assert asked == [1, 1, 0, 0]


@pytest.mark.parametrize("about", [{"replayed": True}, {"copied": True}])
def test_only_an_answer_that_was_paid_for_just_now_does(about: dict[str, bool]) -> None:
    assert Desk(settings()).serve(request(1), **about) == []


def test_none_is_asked_for_while_coaching_is_paused() -> None:
    desk = Desk(settings())
    desk.brain.operate(PauseCoaching(), T0)
    assert desk.serve(request(1)) == []


def test_one_whose_id_the_journal_has_no_room_for_is_not_asked_for() -> None:
    long = TaskRequest(request_id="r" * 200, task="classify", input={"text": "x"})
    assert Desk(settings()).serve(long) == []


def test_its_money_is_set_aside_settled_and_in_the_books() -> None:
    desk = Desk(settings(budget=BudgetSettings(daily=Decimal("0.1"))))
    [call] = desk.serve(request(1))
    [cap] = desk.brain.status(T0).caps
    assert (cap.settled, cap.reserved) == (PRICE, PRICE) == (PRICE, call.reserved)
    desk.hear(call, 1.0, cost=PRICE / 2)
    status = desk.brain.status(T0)
    assert (status.caps[0].settled, status.caps[0].reserved) == (PRICE * 3 / 2, Decimal(0))
    assert status.spend == sum(day.spend for day in status.days) == PRICE * 3 / 2
    assert status.all_remote == PRICE  # what was asked for beside every answer saves nothing
    assert (status.requests, status.days[0].requests) == (1, 1)


def test_it_is_not_asked_for_out_of_what_coaching_may_not_spend() -> None:
    task = settings(budget=BudgetSettings(daily=10 * PRICE, coaching_share=0.5))
    desk = Desk(task)
    asked = [len(desk.serve(request(number))) for number in range(5)]
    assert asked == [1, 1, 0, 0, 0]


def test_one_in_doubt_is_counted_and_can_be_reconciled() -> None:
    desk = Desk(settings())
    [call] = desk.serve(request(1))
    desk.hear(call, None)
    assert desk.brain.status(T0).unknown.calls == 1
    desk.brain.accounts.reconcile(call.opinion_id, Decimal(0), T0)
    assert (desk.brain.status(T0).unknown.calls, desk.brain.state.spend) == (0, PRICE)


def test_the_teachers_agree_on_the_mean_of_the_scores() -> None:
    desk = Desk(settings())
    assert desk.brain.status(T0).teachers_agree is None
    for number, score in enumerate((1.0, 1.0, 0.0, 1.0, None)):
        [call] = desk.serve(request(number))
        desk.hear(call, score)
    agree = desk.brain.status(T0).teachers_agree
    assert agree is not None
    assert (agree.mean, agree.n) == (0.75, 4)
    assert agree.low < 0.75 < agree.high


def test_other_teachers_begin_anew() -> None:
    desk = Desk(settings())
    [call] = desk.serve(request(1))
    desk.hear(call, 1.0)
    desk.brain.operate(ApplySettings(settings=settings(0.5)), T0)
    assert desk.brain.status(T0).teachers_agree is not None
    desk.brain.operate(ApplySettings(settings=settings(model="another")), T0)
    assert desk.brain.status(T0).teachers_agree is None


def test_the_estimate_of_a_remote_call_is_without_second_opinions() -> None:
    """What a local answer saved is the price of the answer, not of an opinion that nobody had to ask for."""
    desk = Desk(settings())
    [call] = desk.serve(request(1))
    desk.hear(call, 1.0, cost=PRICE)
    route = desk.brain.admit(request(2), 0.5, T0).model_copy(update={"remote": False})
    desk.brain.observe(RequestOutcome(request_id="r2", route=route), T0)
    assert desk.brain.state.all_remote == 2 * PRICE


def test_a_trouble_of_an_opinion_or_a_request_raises_an_alert_and_stands_in_the_status() -> None:
    desk = Desk(settings())
    trouble = Trouble(provider="simulated", model="other", error="AuthFailed", message="no key")
    opinion = Opinion(request_id="r1#second", error="AuthFailed", troubles=[trouble])
    [action] = desk.brain.observe(opinion, T0)
    assert isinstance(action, RaiseAlert)
    assert action.alert.kind is AlertKind.PROVIDER
    assert [one.model for one in desk.brain.status(T0).troubled] == ["other"]
    back = Opinion(request_id="r2#second", score=1.0, provider="simulated", model="other")
    assert len(desk.brain.observe(back, T0)) == 1
    assert desk.brain.status(T0).troubled == []
    assert [alert.kind for alert in desk.brain.state.undelivered] == [AlertKind.PROVIDER] * 2
    failed = RequestOutcome(request_id="r3", route=None, error="AuthFailed", troubles=[trouble])
    assert len(desk.brain.observe(failed, T0)) == 1
    desk.brain.operate(ApplySettings(settings=settings(model="another")), T0)
    assert desk.brain.status(T0).troubled == []
