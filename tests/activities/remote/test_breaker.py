"""A provider that is down, or refuses the key, is left alone for a while; then one call finds out."""

import asyncio

import pytest

from activities.remote.breaker import FAILURES, LONG_PAUSE, PAUSE, Breaker
from activities.remote.errors import (
    AuthFailed,
    CircuitOpen,
    InvalidRequest,
    Overloaded,
    QuotaExhausted,
    RateLimited,
    RemoteError,
    TimedOut,
    Unreachable,
)


class Line:
    """A breaker with a clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.breaker = Breaker("openai model 'gpt'", lambda: self.now)

    def call(self, error: RemoteError | None = None) -> str:
        try:
            with self.breaker.call():
                if error is not None:
                    raise error
        except RemoteError as raised:
            return type(raised).__name__
        return "answered"

    def down(self, times: int = FAILURES) -> list[str]:
        return [self.call(Overloaded("busy")) for _ in range(times)]


@pytest.mark.parametrize("error", [Overloaded("busy"), Unreachable("gone"), TimedOut("late")])
def test_it_opens_after_failures_in_a_row(error: RemoteError) -> None:
    line = Line()
    assert [line.call(error) for _ in range(FAILURES)] == [type(error).__name__] * FAILURES
    assert line.call() == "CircuitOpen"


def test_an_answer_in_between_begins_the_count_anew() -> None:
    line = Line()
    line.down(FAILURES - 1)
    line.call()
    line.down(FAILURES - 1)
    assert line.call() == "answered"


@pytest.mark.parametrize("error", [RateLimited("slow"), InvalidRequest("what")])
def test_what_is_no_sign_of_an_outage_never_opens_it(error: RemoteError) -> None:
    line = Line()
    for _ in range(3 * FAILURES):
        line.call(error)
    assert line.call() == "answered"


@pytest.mark.parametrize("error", [AuthFailed("wrong key"), QuotaExhausted("empty")])
def test_a_wrong_key_opens_it_at_once_and_for_longer_and_is_not_worth_a_retry(error: RemoteError) -> None:
    line = Line()
    line.call(error)
    refusal = line.breaker.refusal()
    assert refusal is not None
    assert (refusal.retry_after, refusal.retryable, refusal.charged) == (LONG_PAUSE, False, False)
    assert type(error).__name__ in str(refusal)
    line.now += LONG_PAUSE
    assert line.call() == "answered"


def test_it_says_when_it_will_be_tried_again_and_is_worth_a_retry() -> None:
    line = Line()
    line.down()
    line.now += 10
    refusal = line.breaker.refusal()
    assert refusal is not None
    assert (refusal.retry_after, refusal.retryable) == (PAUSE - 10, True)
    assert "openai model 'gpt'" in str(refusal)


def test_after_the_pause_one_call_is_the_trial_and_the_others_wait_for_it() -> None:
    line = Line()
    line.down()
    line.now += PAUSE
    with line.breaker.call():
        assert line.call() == "CircuitOpen"
    assert line.call() == "answered"


def test_a_trial_that_fails_is_another_pause() -> None:
    line = Line()
    line.down()
    line.now += PAUSE
    assert line.call(Overloaded("still")) == "Overloaded"
    assert line.call() == "CircuitOpen"
    line.now += PAUSE
    assert line.call(RateLimited("it is there")) == "RateLimited"
    assert line.call() == "answered"


def test_a_trial_that_is_cancelled_says_nothing_and_the_next_call_is_another() -> None:
    line = Line()
    line.down()
    line.now += PAUSE
    with pytest.raises(asyncio.CancelledError), line.breaker.call():
        raise asyncio.CancelledError
    assert line.breaker.refusal() is None
    assert line.call(Overloaded("still")) == "Overloaded"
    assert line.call() == "CircuitOpen"


def test_calls_that_began_before_it_opened_do_not_lengthen_the_pause() -> None:
    line = Line()
    before = line.breaker.call()
    before.__enter__()
    line.down()
    line.now += PAUSE - 1
    late = Overloaded("one of before")
    assert not before.__exit__(Overloaded, late, None)
    line.now += 1
    assert line.call() == "answered"


def test_one_that_began_before_and_is_answered_closes_it() -> None:
    line = Line()
    with line.breaker.call():
        line.down()
        assert isinstance(line.breaker.refusal(), CircuitOpen)
    assert line.call() == "answered"
