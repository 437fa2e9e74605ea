"""The activity `ask_remote`: journaled, checked, mapped to Temporal's words."""

import asyncio
import json
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.contract import ATTEMPTS
from activities.remote.ask import AskRemote
from activities.remote.asking import Teachers
from activities.remote.errors import (
    AuthFailed,
    ContentRefused,
    InvalidRequest,
    Overloaded,
    RateLimited,
    RemoteError,
    TimedOut,
    Unusable,
)
from activities.remote.model import Question
from activities.remote.pacing import Pacing
from activities.store import Store, StoreError, Unknown
from apprentice.datasets import input_hash
from apprentice.messages import Answer, RemoteCall, Reply, Source, Split, TaskRequest, Trouble
from apprentice.settings import ProviderSettings, TaskSettings

NOW = datetime(2026, 3, 1, tzinfo=UTC)
RESERVED = Decimal("0.02")
NOTHING = Unknown(0, Decimal(0))
Make = Callable[..., TaskSettings]


class Scripted:
    """A remote model that does one thing after the other, and knows which keys it was asked with."""

    def __init__(self, *script: Any, idempotent: bool = True) -> None:
        self.idempotent = idempotent
        self.script = list(script)
        self.keys: list[str] = []

    async def check(self) -> None:
        raise NotImplementedError

    async def ask(self, question: Question) -> Answer:
        self.keys.append(question.key)
        step = self.script.pop(0)
        if callable(step):
            await step()
        if isinstance(step, BaseException):
            raise step
        return Answer(source=Source.REMOTE, output=step, model="teacher", cost=Decimal("0.005"))


PLAIN_ERRORS = [kind for kind in RemoteError.__subclasses__() if kind not in (RateLimited, Unusable)]
GOOD = {"category": "billing", "priority": 2}


def call(request_id: str, text: str, admission: str, digest: str) -> RemoteCall:
    request = TaskRequest(request_id=request_id, task="tickets", input={"text": text})
    return RemoteCall(request=request, admission=admission, settings_digest=digest, schema_version=1, reserved=RESERVED)


class Bench:
    """One task whose remote model is scripted."""

    def __init__(self, store: Store, settings: TaskSettings, model: Scripted | None) -> None:
        self.store = store
        self.settings = settings
        self.model = model
        models = Teachers() if model is None else Teachers(lambda provider, task: model)
        self.activity = AskRemote(store, lambda: NOW, models)

    async def call(self, text: str = "card broken", request_id: str = "r-1", admission: str = "first") -> RemoteCall:
        digest = await self.store.settings.put(self.settings)
        return call(request_id, text, admission, digest)

    async def ask(self, **about: str) -> Reply:
        call = await self.call(**about)
        reply: Reply = await ActivityEnvironment().run(self.activity.ask_remote, call)
        return reply

    async def fails(self, **ask: Any) -> ApplicationError:
        with pytest.raises(ApplicationError) as caught:
            await self.ask(**ask)
        return caught.value


def charged(error: ApplicationError) -> Any:
    return error.details[0]["charged"]


@pytest.fixture
def bench(store: Store, settings: Make) -> Callable[..., Bench]:
    def make(*script: Any, idempotent: bool = True, **changes: Any) -> Bench:
        return Bench(store, settings(**changes), Scripted(*script, idempotent=idempotent) if script else None)

    return make


def model_of(bench: Bench) -> Scripted:
    assert bench.model is not None
    return bench.model


async def test_the_simulated_model_answers_pays_and_teaches(bench: Callable[..., Bench], store: Store) -> None:
    first = bench()
    reply = await first.ask()
    assert isinstance(reply.example, Split)
    assert not reply.replayed
    assert await store.journal.spend("tickets") == reply.answer.cost > 0
    again = await first.ask(admission="second")
    assert (again.answer, again.replayed, again.example) == (reply.answer, True, None)
    assert await store.journal.spend("tickets") == reply.answer.cost


async def test_a_rerun_that_finds_its_own_answer_tells_it_as_news(bench: Callable[..., Bench]) -> None:
    """The first run died between the journal and the server: nobody has counted its cost and its example yet."""
    reply = await bench(GOOD).ask()
    unasked = bench(AssertionError("asked again"))
    assert await unasked.ask() == reply
    assert not reply.replayed
    assert model_of(unasked).keys == []


async def test_an_answer_in_doubt_is_asked_for_with_the_same_key(bench: Callable[..., Bench], store: Store) -> None:
    one = bench(TimedOut("late"), GOOD)
    error = await one.fails()
    assert (error.type, error.non_retryable, charged(error)) == ("TimedOut", False, "0.02")
    assert await store.journal.unknown("tickets") == Unknown(1, RESERVED)
    assert (await one.ask()).answer.output == GOOD
    assert len(set(model_of(one).keys)) == 1
    assert await store.journal.unknown("tickets") == NOTHING


async def test_an_answer_in_doubt_is_never_asked_again_where_it_would_be_paid_again(
    bench: Callable[..., Bench], store: Store
) -> None:
    one = bench(TimedOut("late"), GOOD, idempotent=False)
    await one.fails()
    error = await one.fails()
    assert (error.type, error.non_retryable, charged(error)) == ("OutcomeUnknown", True, "0.02")
    assert charged(await one.fails(admission="second")) == "0"
    assert len(model_of(one).keys) == 1
    assert await store.journal.spend("tickets") == RESERVED


async def test_a_harmless_failure_does_not_clear_an_earlier_doubt(bench: Callable[..., Bench], store: Store) -> None:
    one = bench(TimedOut("late"), Overloaded("busy"))
    await one.fails()
    error = await one.fails()
    assert (error.type, charged(error)) == ("Overloaded", "0.02")
    assert await store.journal.unknown("tickets") == Unknown(1, RESERVED)


async def test_a_call_that_cost_nothing_is_made_again_even_without_idempotency(
    bench: Callable[..., Bench], store: Store
) -> None:
    one = bench(Overloaded("busy"), GOOD, idempotent=False)
    error = await one.fails()
    assert (error.type, error.non_retryable, charged(error)) == ("Overloaded", False, "0")
    assert await store.journal.unknown("tickets") == NOTHING
    assert (await one.ask()).answer.output == GOOD


async def test_a_rate_limit_says_when_to_come_back(bench: Callable[..., Bench]) -> None:
    one = bench(RateLimited("slow down"), RateLimited("slow down", retry_after=7.5))
    assert (await one.fails()).next_retry_delay is None
    assert (await one.fails()).next_retry_delay == timedelta(seconds=7.5)


@pytest.mark.parametrize(
    "kind", [kind for kind in RemoteError.__subclasses__() if kind.__init__ is RemoteError.__init__]
)
async def test_every_error_is_named_and_final_unless_retryable(
    bench: Callable[..., Bench], kind: type[RemoteError]
) -> None:
    error = await bench(kind("why")).fails()
    assert (error.type, error.message, error.non_retryable) == (kind.__name__, "why", not kind.retryable)


@pytest.mark.parametrize(("error", "final"), [(Overloaded("busy"), True), (RateLimited("wait", 3.0), False)])
async def test_after_the_last_attempt_only_a_rate_limit_is_waited_for(
    bench: Callable[..., Bench], error: RemoteError, final: bool
) -> None:
    one = bench(error, error)
    call, environment = await one.call(), ActivityEnvironment()
    for attempt in (ATTEMPTS - 1, ATTEMPTS):
        environment.info = replace(environment.info, attempt=attempt)
        with pytest.raises(ApplicationError) as caught:
            await environment.run(one.activity.ask_remote, call)
        assert caught.value.non_retryable is (final and attempt == ATTEMPTS)


@pytest.mark.parametrize(
    "output", [{"category": "none of these", "priority": 1}, {"category": "billing"}, {**GOOD, "priority": "high"}]
)
async def test_an_answer_that_does_not_fit_is_paid_once_and_refused(
    bench: Callable[..., Bench], store: Store, output: dict[str, Any]
) -> None:
    one = bench(output, GOOD)
    error = await one.fails()
    assert (error.type, error.non_retryable, charged(error)) == ("InvalidAnswer", True, "0.005")
    assert "none of these" not in error.message.replace("expected one of", "")
    assert charged(await one.fails()) == "0.005"
    again = await one.fails(admission="second")
    assert (again.type, charged(again)) == ("InvalidAnswer", "0")
    assert len(model_of(one).keys) == 1
    assert await store.journal.spend("tickets") == Decimal("0.005")
    assert (await store.examples.snapshot("tickets", 1)).last_id == 0


async def test_what_did_not_fit_is_kept_in_the_journal(
    bench: Callable[..., Bench], store: Store, tmp_path: Path
) -> None:
    await bench({"category": "none of these", "priority": 1}).fails()
    with closing(sqlite3.connect(tmp_path / "store.db")) as database:
        [(text,)] = database.execute("SELECT rejected_text FROM calls").fetchall()
    assert json.loads(text) == {"category": "none of these", "priority": 1}


async def test_a_refusal_of_the_model_is_paid_too(bench: Callable[..., Bench], store: Store) -> None:
    error = await bench(ContentRefused("declined", Decimal("0.001"))).fails()
    assert (error.type, error.non_retryable) == ("ContentRefused", True)
    assert await store.journal.spend("tickets") == Decimal("0.001")


async def test_a_slow_answer_times_out_and_stays_in_doubt(bench: Callable[..., Bench], store: Store) -> None:
    error = await bench(simulation={"latency_seconds": 30}, timeout_seconds=0.05).fails()
    assert (error.type, error.non_retryable) == ("TimedOut", False)
    assert await store.journal.unknown("tickets") == Unknown(1, RESERVED)


async def test_an_answer_outlasts_a_store_that_is_away(
    bench: Callable[..., Bench], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is paid: to fail now would be to lose it, and to count it at the most."""
    answered, failures = store.journal.answered, [StoreError("the disk is full")] * 2

    async def away(*arguments: Any) -> Any:
        if failures:
            raise failures.pop()
        return await answered(*arguments)

    monkeypatch.setattr(store.journal, "answered", away)
    assert (await bench(GOOD, idempotent=False).ask()).answer.output == GOOD
    assert not failures
    assert await store.journal.unknown("tickets") == NOTHING


@pytest.mark.parametrize(
    ("attempt", "said", "charged"),
    [(1, [], "0"), (2, [1], "0"), (2, [], "0.02"), (3, [1], "0.02"), (6, [5], "0")],
)
async def test_without_a_store_nothing_is_sent_and_nothing_charged_unless_an_attempt_before_may_have(
    bench: Callable[..., Bench],
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    attempt: int,
    said: list[int],
    charged: str,
) -> None:
    async def away(*arguments: Any) -> Any:
        raise StoreError("the disk is full")

    one = bench(AssertionError("asked"))
    call, beats = await one.call(), list[tuple[Any, ...]]()
    monkeypatch.setattr(store.journal, "intend", away)
    environment = ActivityEnvironment()
    environment.info = replace(environment.info, attempt=attempt, heartbeat_details=said)
    environment.on_heartbeat = lambda *details: beats.append(details)
    with pytest.raises(ApplicationError) as caught:
        await environment.run(one.activity.ask_remote, call)
    assert (caught.value.type, caught.value.details) == ("StoreError", ({"charged": charged},))
    assert caught.value.non_retryable is (attempt == ATTEMPTS)
    assert beats == ([(attempt,)] if charged == "0" else [])


async def test_attempts_that_cost_nothing_are_none_that_may_have_been_paid(
    bench: Callable[..., Bench], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who waits long for a turn is tried again often, and then the store may be away."""

    async def away(*arguments: Any) -> Any:
        raise StoreError("the disk is full")

    one, told = bench(RateLimited("slow down", 1.0), TimedOut("late")), list[tuple[Any, ...]]()
    call = await one.call()

    async def attempt(number: int) -> ApplicationError:
        environment = ActivityEnvironment()
        said = list(told[-1]) if told else []
        environment.info = replace(environment.info, attempt=number, heartbeat_details=said)
        environment.on_heartbeat = lambda *details: told.append(details)
        with pytest.raises(ApplicationError) as caught:
            await environment.run(one.activity.ask_remote, call)
        return caught.value

    assert charged(await attempt(1)) == "0"
    with monkeypatch.context() as broken:
        broken.setattr(store.journal, "intend", away)
        assert charged(await attempt(2)) == "0"
    assert charged(await attempt(3)) == "0.02"
    monkeypatch.setattr(store.journal, "intend", away)
    assert charged(await attempt(4)) == "0.02"


async def test_a_reused_request_id_is_refused_before_anything_is_asked(bench: Callable[..., Bench]) -> None:
    one = bench(GOOD, AssertionError("asked"))
    await one.ask()
    error = await one.fails(text="something else")
    assert (error.type, error.non_retryable) == ("RequestIdReused", True)
    assert "something else" not in str(error)


async def test_a_repeated_input_is_answered_but_no_second_example(bench: Callable[..., Bench]) -> None:
    one = bench(GOOD, GOOD)
    assert (await one.ask(request_id="r-1")).example is not None
    assert (await one.ask(request_id="r-2")).example is None


async def test_what_was_served_locally_is_replayed(bench: Callable[..., Bench], store: Store) -> None:
    one = bench(TimedOut("late"), AssertionError("asked"))
    await one.fails()
    local = Answer(source=Source.LOCAL, output=GOOD, model="embedded", version=1)
    hashed = input_hash({"text": "card broken"})
    await store.journal.served_locally("tickets", "r-1", hashed, local, True, NOW, "earlier")
    reply = await one.ask(admission="second")
    assert (reply.answer, reply.replayed, reply.degraded) == (local, True, True)


async def test_a_call_in_doubt_is_counted_also_when_a_local_answer_was_served_meanwhile(
    bench: Callable[..., Bench], store: Store
) -> None:
    """The worker died during the call, and a local attempt thought dead served: nobody has counted the call."""
    one = bench(TimedOut("late"), AssertionError("asked"), idempotent=False)
    await one.fails()
    local = Answer(source=Source.LOCAL, output=GOOD, model="embedded", version=1)
    await store.journal.served_locally("tickets", "r-1", input_hash({"text": "card broken"}), local, True, NOW, "first")
    error = await one.fails()
    assert (error.type, charged(error)) == ("OutcomeUnknown", "0.02")
    assert (await one.ask(admission="second")).answer == local


async def test_unknown_settings_are_final(store: Store) -> None:
    with pytest.raises(ApplicationError) as caught:
        await ActivityEnvironment().run(AskRemote(store, lambda: NOW).ask_remote, call("r", "a", "first", "0" * 16))
    assert (caught.value.type, caught.value.non_retryable) == ("SettingsUnknown", True)


async def test_an_intent_is_on_record_while_the_model_is_asked(bench: Callable[..., Bench], store: Store) -> None:
    seen: list[Unknown] = []

    async def look() -> None:
        seen.append(await store.journal.unknown("tickets"))
        raise Overloaded("busy")

    await bench(look).fails()
    assert seen == [Unknown(1, RESERVED)]


async def test_a_long_call_beats_and_is_cancelled(bench: Callable[..., Bench]) -> None:
    beats: list[Any] = []
    started = asyncio.Event()

    async def hang() -> None:
        started.set()
        await asyncio.sleep(60)

    one = bench(hang)
    call = await one.call()
    environment = ActivityEnvironment()
    environment.info = replace(environment.info, heartbeat_timeout=timedelta(seconds=0.06))
    environment.on_heartbeat = lambda *details: beats.append(details)
    running: Awaitable[Reply] = asyncio.ensure_future(environment.run(one.activity.ask_remote, call))
    await started.wait()
    await asyncio.sleep(0.15)
    environment.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert len(beats) >= 4
    assert await one.store.journal.unknown("tickets") == Unknown(1, RESERVED)


# --- several providers ------------------------------------------------------------------------------------------


class Staff:
    """A task with several teachers, each of them scripted; the first is the main one."""

    def __init__(self, store: Store, settings: Make, *models: Scripted, **changes: Any) -> None:
        price = {"input_per_million": "3", "output_per_million": "15"}
        extras = [{"provider": "simulated", "model": f"extra{n}", "price": price} for n in range(1, len(models))]
        self.settings = settings(additional_providers=extras, **changes)
        self.models = dict(zip(["teacher", *(extra["model"] for extra in extras)], models, strict=True))
        self.store = store
        self.now = 0.0
        pacing = Pacing(store.paces, lambda: NOW, patience=0.0)
        self.activity = AskRemote(store, lambda: NOW, Teachers(self.make, pacing, lambda: self.now))

    def make(self, provider: ProviderSettings, task: TaskSettings) -> Scripted:
        return self.models[provider.model]

    async def ask(self, request_id: str = "r-1", admission: str = "first") -> Reply:
        digest = await self.store.settings.put(self.settings)
        one = call(request_id, "card broken", admission, digest)
        reply: Reply = await ActivityEnvironment().run(self.activity.ask_remote, one)
        return reply

    async def fails(self, request_id: str = "r-1", admission: str = "first") -> ApplicationError:
        with pytest.raises(ApplicationError) as caught:
            await self.ask(request_id, admission)
        return caught.value

    @property
    def asked(self) -> list[int]:
        return [len(model.keys) for model in self.models.values()]


def names(troubles: list[Any]) -> list[tuple[str, str]]:
    return [(Trouble.model_validate(one).model, Trouble.model_validate(one).error) for one in troubles]


async def test_where_one_provider_fails_for_free_the_next_one_answers_at_once(store: Store, settings: Make) -> None:
    staff = Staff(store, settings, Scripted(AuthFailed("wrong key")), Scripted(Overloaded("busy")), Scripted(GOOD))
    reply = await staff.ask()
    assert reply.answer.output == GOOD
    assert names(reply.troubles) == [("teacher", "AuthFailed"), ("extra1", "Overloaded")]
    assert staff.asked == [1, 1, 1]
    assert await store.journal.spend("tickets") == Decimal("0.005")
    assert (await staff.ask(admission="second")).replayed


async def test_the_intent_names_the_provider_that_is_asked(store: Store, settings: Make) -> None:
    seen: list[tuple[str, str]] = []

    async def look() -> None:
        seen.extend((one.provider, one.model) for one in await store.journal.unknowns("tickets"))
        raise TimedOut("late")

    staff = Staff(store, settings, Scripted(Overloaded("busy")), Scripted(look))
    await staff.fails()
    assert seen == [("simulated", "extra1")]


async def test_a_call_in_doubt_is_put_to_nobody_else(store: Store, settings: Make) -> None:
    staff = Staff(store, settings, Scripted(TimedOut("late"), idempotent=False), Scripted(GOOD))
    error = await staff.fails()
    assert (error.type, charged(error)) == ("TimedOut", "0.02")
    assert names(error.details[0]["troubles"]) == [("teacher", "TimedOut")]
    assert (await staff.fails()).type == "OutcomeUnknown"
    assert (await staff.fails(admission="second")).type == "OutcomeUnknown"
    assert staff.asked == [1, 0]


async def test_a_call_in_doubt_goes_back_to_the_provider_that_it_was_sent_to(store: Store, settings: Make) -> None:
    """Its own word that a repeated key is billed once says nothing of another provider."""
    first, second = Scripted(Overloaded("busy"), AssertionError("asked")), Scripted(TimedOut("late"), GOOD)
    staff = Staff(store, settings, first, second)
    await staff.fails()
    assert (await staff.ask()).answer.output == GOOD
    assert staff.asked == [1, 2]
    assert len(set(second.keys)) == 1
    assert second.keys[0] != first.keys[0]


async def test_a_call_in_doubt_is_not_sent_to_a_provider_that_has_taken_the_place_of_another(
    store: Store, settings: Make
) -> None:
    staff = Staff(store, settings, Scripted(TimedOut("late")))
    await staff.fails()
    successor = Staff(store, settings, Scripted(AssertionError("asked")), model="teacher", base_url="http://new/v1")
    assert (await successor.fails()).type == "OutcomeUnknown"


async def test_a_paid_answer_that_cannot_be_used_is_put_to_nobody_else(store: Store, settings: Make) -> None:
    staff = Staff(store, settings, Scripted(ContentRefused("declined", Decimal("0.001"))), Scripted(GOOD))
    error = await staff.fails()
    assert (error.type, charged(error), error.details[0]["troubles"]) == ("ContentRefused", "0.001", [])
    assert staff.asked == [1, 0]


@pytest.mark.parametrize(
    ("errors", "raised", "delay"),
    [
        ((AuthFailed("no"), Overloaded("busy")), "Overloaded", None),
        ((RateLimited("slow", 30), RateLimited("slow", 2)), "RateLimited", 2),
        ((InvalidRequest("what"), AuthFailed("no")), "InvalidRequest", None),
    ],
)
async def test_if_all_fail_the_caller_gets_the_error_that_is_most_worth_a_retry(
    store: Store, settings: Make, errors: tuple[RemoteError, ...], raised: str, delay: int | None
) -> None:
    error = await Staff(store, settings, *map(Scripted, errors)).fails()
    assert (error.type, charged(error)) == (raised, "0")
    assert error.next_retry_delay == (None if delay is None else timedelta(seconds=delay))
    assert names(error.details[0]["troubles"]) == [
        ("teacher", type(errors[0]).__name__),
        ("extra1", type(errors[1]).__name__),
    ]
    assert await store.journal.unknown("tickets") == NOTHING


async def test_a_provider_with_a_wrong_key_is_asked_once_and_then_left_alone_for_a_while(
    store: Store, settings: Make
) -> None:
    staff = Staff(store, settings, Scripted(AuthFailed("no"), GOOD), Scripted(GOOD, GOOD))
    replies = [await staff.ask("r-1"), await staff.ask("r-2")]
    assert names(replies[1].troubles) == [("teacher", "CircuitOpen")]
    assert staff.asked == [1, 2]
    staff.now += 60
    assert (await staff.ask("r-3")).troubles == []
    assert staff.asked == [2, 2]


async def test_while_nobody_may_be_asked_the_journal_still_answers(store: Store, settings: Make) -> None:
    staff = Staff(store, settings, Scripted(GOOD, AuthFailed("no")))
    answered = await staff.ask("r-1")
    await staff.fails("r-2")
    error = await staff.fails("r-3")
    assert (error.type, error.non_retryable, charged(error)) == ("CircuitOpen", True, "0")
    assert (await staff.ask("r-1", "second")).answer == answered.answer
    assert staff.asked == [2]


async def test_an_outage_is_over_for_all_tasks_with_the_same_account(store: Store, settings: Make) -> None:
    """The breaker is of the account: the second task does not have to fail five times to learn of it."""
    models = Teachers(lambda provider, task: scripted, clock=lambda: 0.0)
    scripted = Scripted(*[Overloaded("busy")] * 5, GOOD)
    for number, name in enumerate(["one"] * 5 + ["other"]):
        task = settings().model_copy(update={"name": name})
        digest = await store.settings.put(task)
        request = TaskRequest(request_id=f"r-{number}", task=name, input={"text": "x"})
        one = RemoteCall(
            request=request, admission="first", settings_digest=digest, schema_version=1, reserved=RESERVED
        )
        with pytest.raises(ApplicationError) as caught:
            await ActivityEnvironment().run(AskRemote(store, lambda: NOW, models).ask_remote, one)
    assert caught.value.type == "CircuitOpen"
    assert caught.value.next_retry_delay is None  # a caller does not sit through a provider's pause
    assert len(scripted.keys) == 5


async def test_the_pace_is_asked_right_before_a_call_and_may_say_no(store: Store, settings: Make) -> None:
    staff = Staff(store, settings, Scripted(GOOD), Scripted(GOOD), rate_limits={"requests_per_minute": 1})
    assert (await staff.ask("r-1")).troubles == []
    assert names((await staff.ask("r-2")).troubles) == [("teacher", "RateLimited")]
    assert staff.asked == [1, 1]


async def test_each_provider_has_its_own_time_out(store: Store, settings: Make) -> None:
    async def slow() -> None:
        await asyncio.sleep(0.3)
        raise InvalidRequest("after its time")

    error = await Staff(store, settings, Scripted(slow), timeout_seconds=0.05).fails("r-1")
    assert error.type == "TimedOut"
    staff = Staff(store, settings, Scripted(Overloaded("busy")), Scripted(slow), timeout_seconds=0.05)
    error = await staff.fails("r-2")  # the other one has a minute
    assert names(error.details[0]["troubles"]) == [("teacher", "Overloaded"), ("extra1", "InvalidRequest")]


async def test_who_dies_waiting_for_a_turn_leaves_no_doubt_behind(store: Store, settings: Make) -> None:
    staff = Staff(store, settings, Scripted(GOOD, GOOD, GOOD), rate_limits={"requests_per_minute": 20})
    pacing = Pacing(store.paces, lambda: NOW, patience=60.0)
    staff.activity = AskRemote(store, lambda: NOW, Teachers(staff.make, pacing))
    await staff.ask("r-1")
    await staff.ask("r-2")
    waiting = asyncio.ensure_future(staff.ask("r-3"))
    await asyncio.sleep(0.3)
    waiting.cancel()  # as a worker that is shut down, or killed: nothing can be written any more
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert await store.journal.unknown("tickets") == NOTHING
    staff.activity = AskRemote(store, lambda: NOW + timedelta(minutes=2), Teachers(staff.make))
    assert (await staff.ask("r-3")).answer.output == GOOD
    assert staff.asked == [3]


class Repaired:
    """Its first answer never fits; the second question meets one error after the other. Repeats are free."""

    idempotent = True

    def __init__(self, *errors: RemoteError) -> None:
        self.errors = list(errors)

    async def check(self) -> None:
        raise NotImplementedError

    async def ask(self, question: Question) -> Answer:
        if question.key.endswith("-repair"):
            raise self.errors.pop(0)
        bad = {"category": "nonsense", "priority": 1}
        tokens = {"input_tokens": 10, "output_tokens": 5}
        return Answer(source=Source.REMOTE, output=bad, model="teacher", cost=Decimal("0.001"), **tokens)


@pytest.mark.parametrize("then", [Overloaded("busy"), RateLimited("slow", 1.0), AuthFailed("no")])
async def test_a_second_try_in_doubt_stays_counted_whatever_the_next_attempt_meets(
    store: Store, settings: Make, then: RemoteError
) -> None:
    model = Repaired(TimedOut("late"), then)
    one = Bench(store, settings(), None)
    one.activity = AskRemote(store, lambda: NOW, Teachers(lambda provider, task: model))
    assert charged(await one.fails()) == "0.02"
    error = await one.fails()
    assert not model.errors
    assert (error.type, charged(error)) == (type(then).__name__, "0.02")
    assert await store.journal.unknown("tickets") == Unknown(1, RESERVED)


async def test_a_second_try_does_not_wait_for_its_turn_past_the_time_out(store: Store, settings: Make) -> None:
    limited = settings(rate_limits={"requests_per_minute": 20}, timeout_seconds=0.3)
    one, model = Bench(store, limited, None), Repaired()
    pacing = Pacing(store.paces, lambda: NOW, patience=60.0)
    one.activity = AskRemote(store, lambda: NOW, Teachers(lambda provider, task: model, pacing))
    await pacing(limited.remote, "tickets", 1)
    began = asyncio.get_running_loop().time()
    error = await one.fails()
    assert asyncio.get_running_loop().time() - began < 10
    assert (error.type, charged(error)) == ("InvalidAnswer", "0.001")
    assert await store.journal.unknown("tickets") == NOTHING


async def test_no_error_repeats_a_field_that_a_model_made_up(bench: Callable[..., Bench], store: Store) -> None:
    schema = {"category": "str", "more": "dict", "address?": {"city": "str"}}
    said = {"category": 1, "Jane Doe": 2, "more": {}, "address": {"Main St 5": 1}}
    error = await bench(said, output_schema=schema).fails()
    assert error.message.count("…: is not a field of this schema") == 2
    for word in ("category: expected text", "address.city: is missing", "address.…:"):
        assert word in error.message
    assert "Jane" not in error.message
    assert "Main" not in error.message
    deep = bench({"category": "a", "more": {"Jane Doe": float("nan")}}, output_schema=schema)
    assert "more.…: expected a finite number" in (await deep.fails(request_id="r-2")).message
