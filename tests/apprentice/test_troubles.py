"""Operators hear of a remote model that cannot answer once, and once more when it is back."""

from datetime import timedelta

import pytest

from apprentice.messages import Trouble, Troubled
from apprentice.troubles import KEPT, QUIET, note, present
from tests.apprentice.brain import T0

GPT = ("openai", "gpt")


def trouble(error: str = "AuthFailed", model: str = "gpt") -> Trouble:
    return Trouble(provider="openai", model=model, error=error, message=f"openai model {model!r}: HTTP 401")


class Desk:
    """What was told so far."""

    def __init__(self) -> None:
        self.troubled: list[Troubled] = []
        self.told: list[str] = []
        self.now = T0

    def note(self, *failed: Trouble, answered: tuple[str, str] | None = None, after: timedelta = timedelta(0)) -> int:
        self.now += after
        self.troubled, told = note(self.troubled, list(failed), answered, self.now)
        self.told += told
        return len(told)


def test_a_trouble_is_told_once_until_the_model_answers_again() -> None:
    desk = Desk()
    assert [desk.note(trouble()) for _ in range(3)] == [1, 0, 0]
    assert "AuthFailed" in desk.told[0]
    assert [one.model for one in present(desk.troubled)] == ["gpt"]
    assert desk.note(answered=("openai", "other")) == 0
    assert [desk.note(answered=GPT) for _ in range(2)] == [1, 0]
    assert "answers again" in desk.told[1]
    assert present(desk.troubled) == []
    assert desk.note(trouble()) == 1


@pytest.mark.parametrize("error", ["RateLimited", "Overloaded", "Unreachable", "TimedOut"])
def test_what_passes_by_itself_is_not_told(error: str) -> None:
    desk = Desk()
    assert desk.note(trouble(error)) == 0
    assert desk.troubled == []


@pytest.mark.parametrize("error", ["QuotaExhausted", "InvalidRequest", "CircuitOpen"])
def test_what_does_not_is(error: str) -> None:
    assert Desk().note(trouble(error)) == 1


def test_a_model_that_refuses_some_requests_and_answers_others_is_told_once_in_a_while() -> None:
    desk = Desk()
    for _ in range(50):
        desk.note(trouble("InvalidRequest"), after=timedelta(minutes=1))
        desk.note(answered=GPT)
    assert len(desk.told) == 2  # it was there, and it was over
    assert desk.note(trouble("InvalidRequest"), after=QUIET) == 1


def test_of_two_with_the_same_name_in_one_request_the_one_in_trouble_is_not_told_to_be_back() -> None:
    desk = Desk()
    assert [desk.note(trouble(), answered=GPT) for _ in range(3)] == [1, 0, 0]


def test_few_are_remembered() -> None:
    desk = Desk()
    for number in range(3 * KEPT):
        desk.note(trouble(model=f"m{number}"))
    assert len(desk.troubled) == KEPT
