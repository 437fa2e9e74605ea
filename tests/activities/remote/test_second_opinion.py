"""The activity `second_opinion`: another teacher on the same request, journaled, compared, and never an example."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from temporalio.testing import ActivityEnvironment

from activities.comparing import Scorer
from activities.remote.asking import Teachers
from activities.remote.errors import AuthFailed, ContentRefused, Overloaded, RemoteError, TimedOut
from activities.remote.second_opinion import SecondOpinion
from activities.store import Store, Unknown
from activities.store.opinions import Agreement
from apprentice.messages import Answer, Opinion, OpinionCall, Source, TaskRequest
from tests.activities.remote.conftest import PRICE, make_settings
from tests.activities.remote.test_ask import GOOD, Scripted

NOW = datetime(2026, 3, 1, tzinfo=UTC)
RESERVED = Decimal("0.02")
COST = Decimal("0.005")
OTHER = {**GOOD, "category": "shipping"}


class Desk:
    """A task with two teachers; the second is scripted."""

    def __init__(self, store: Store, *script: Any, idempotent: bool = True) -> None:
        self.store = store
        self.model = Scripted(*script, idempotent=idempotent)
        extra = {"provider": "simulated", "model": "second", "price": PRICE}
        self.settings = make_settings(additional_providers=[extra], second_opinions=1.0)
        models = Teachers(lambda provider, task: self.model)
        self.activity = SecondOpinion(store, lambda: NOW, models, Scorer())

    async def ask(self, by: str = "teacher") -> Opinion:
        digest = await self.store.settings.put(self.settings)
        call = OpinionCall(
            opinion_id="r-1#second",
            request=TaskRequest(request_id="r-1", task="tickets", input={"text": "card broken"}),
            answer=Answer(source=Source.REMOTE, output=GOOD, provider="simulated", model=by),
            admission="first",
            settings_digest=digest,
            reserved=RESERVED,
        )
        opinion: Opinion = await ActivityEnvironment().run(self.activity.second_opinion, call)
        return opinion


@pytest.mark.parametrize(("output", "score"), [(GOOD, 1.0), (OTHER, 0.0)])
async def test_another_teacher_is_asked_and_compared(store: Store, output: dict[str, Any], score: float) -> None:
    opinion = await Desk(store, output).ask()
    assert (opinion.score, opinion.cost, opinion.in_doubt, opinion.model) == (score, COST, Decimal(0), "second")
    assert await store.opinions.agreement("tickets") == Agreement(1, score)
    assert await store.journal.spend("tickets") == COST
    assert (await store.examples.snapshot("tickets", 1)).last_id == 0


async def test_a_worker_that_died_after_it_is_no_second_payment(store: Store) -> None:
    desk = Desk(store, OTHER, AssertionError("asked again"))
    assert await desk.ask() == await desk.ask()
    assert len(desk.model.keys) == 1
    assert await store.opinions.agreement("tickets") == Agreement(1, 0.0)


async def test_it_is_never_asked_of_the_one_that_answered(store: Store) -> None:
    desk = Desk(store, GOOD)
    assert (await desk.ask(by="second")).score == 1.0
    desk.settings = make_settings()
    assert (await desk.ask()).error == "NobodyElse"
    assert len(desk.model.keys) == 1


@pytest.mark.parametrize("error", [Overloaded("busy"), AuthFailed("no")])
async def test_one_that_cannot_answer_costs_nothing_and_is_a_trouble(store: Store, error: RemoteError) -> None:
    opinion = await Desk(store, error).ask()
    assert (opinion.score, opinion.error, opinion.cost) == (None, type(error).__name__, Decimal(0))
    assert [(one.model, one.error) for one in opinion.troubles] == [("second", type(error).__name__)]
    assert await store.journal.spend("tickets") == 0


async def test_a_provider_that_is_left_alone_is_not_asked(store: Store) -> None:
    desk = Desk(store, AuthFailed("no"), AssertionError("asked"))
    await desk.ask()
    assert (await desk.ask()).error == "CircuitOpen"
    assert len(desk.model.keys) == 1


async def test_one_in_doubt_is_counted_at_the_most_and_not_asked_again(store: Store) -> None:
    desk = Desk(store, TimedOut("late"), AssertionError("asked"), idempotent=False)
    opinion = await desk.ask()
    assert (opinion.error, opinion.cost, opinion.in_doubt) == ("TimedOut", RESERVED, RESERVED)
    again = await desk.ask()
    assert (again.error, again.cost, again.in_doubt) == ("OutcomeUnknown", RESERVED, RESERVED)
    assert await store.journal.unknown("tickets") == Unknown(1, RESERVED)


async def test_one_that_cannot_be_used_is_paid(store: Store) -> None:
    desk = Desk(store, ContentRefused("declined", Decimal("0.001")))
    assert (await desk.ask()).cost == Decimal("0.001")
    assert (await desk.ask()).cost == Decimal("0.001")
    assert await store.journal.spend("tickets") == Decimal("0.001")
    assert await store.opinions.agreement("tickets") == Agreement(0, None)
