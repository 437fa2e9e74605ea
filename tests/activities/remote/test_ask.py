"""The activity `ask_remote`: journaled, checked, mapped to Temporal's words."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.contract import ATTEMPTS
from activities.remote.ask import AskRemote, _intent
from activities.remote.errors import ContentRefused, Overloaded, RateLimited, RemoteError, TimedOut, Unusable
from activities.remote.model import Question
from activities.store import CallState, Store, StoreError, Unknown
from apprentice.datasets import input_hash
from apprentice.messages import Answer, RemoteCall, Reply, Source, Split, TaskRequest
from apprentice.settings import TaskSettings

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
        self.activity = AskRemote(store, lambda: NOW)
        if model is not None:
            self.activity._models[settings.digest] = model

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


@pytest.fixture
def bench(store: Store, settings: Make) -> Callable[..., Bench]:
    def make(*script: Any, idempotent: bool = True, **changes: Any) -> Bench:
        return Bench(store, settings(**changes), Scripted(*script, idempotent=idempotent) if script else None)

    return make


def model_of(bench: Bench) -> Scripted:
    model = bench.activity._models[bench.settings.digest]
    assert isinstance(model, Scripted)
    return model


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
    assert (error.type, error.non_retryable, error.details) == ("TimedOut", False, ({"charged": "0.02"},))
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
    assert (error.type, error.non_retryable, error.details) == ("OutcomeUnknown", True, ({"charged": "0.02"},))
    assert (await one.fails(admission="second")).details == ({"charged": "0"},)
    assert len(model_of(one).keys) == 1
    assert await store.journal.spend("tickets") == RESERVED


async def test_a_harmless_failure_does_not_clear_an_earlier_doubt(bench: Callable[..., Bench], store: Store) -> None:
    one = bench(TimedOut("late"), Overloaded("busy"))
    await one.fails()
    error = await one.fails()
    assert (error.type, error.details) == ("Overloaded", ({"charged": "0.02"},))
    assert await store.journal.unknown("tickets") == Unknown(1, RESERVED)


async def test_a_call_that_cost_nothing_is_made_again_even_without_idempotency(
    bench: Callable[..., Bench], store: Store
) -> None:
    one = bench(Overloaded("busy"), GOOD, idempotent=False)
    error = await one.fails()
    assert (error.type, error.non_retryable, error.details) == ("Overloaded", False, ({"charged": "0"},))
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
    assert (error.type, error.non_retryable, error.details) == ("InvalidAnswer", True, ({"charged": "0.005"},))
    assert "none of these" not in error.message.replace("expected one of", "")
    assert (await one.fails()).details == ({"charged": "0.005"},)
    again = await one.fails(admission="second")
    assert (again.type, again.details) == ("InvalidAnswer", ({"charged": "0"},))
    assert len(model_of(one).keys) == 1
    assert await store.journal.spend("tickets") == Decimal("0.005")
    assert (await store.examples.snapshot("tickets", 1)).last_id == 0


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
    assert (error.type, error.details) == ("OutcomeUnknown", ({"charged": "0.02"},))
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
    standing = await one.store.journal.intend(_intent(call, one.settings, NOW), NOW)
    assert standing.state is CallState.INTENT
