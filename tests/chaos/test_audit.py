"""The audit of a chaos run finds what it is there to find: books that are right pass, each wrong entry is named."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from apprentice.lifecycle import Lifecycle
from apprentice.messages import TaskStatus
from tests.chaos.audit import Books, audit
from tests.chaos.load import Sent
from tests.chaos.report import recovery
from tests.chaos.run import Plan, task_settings
from tests.fakes.provider.ledger import Billed

PRICE, MOST = Decimal("0.001"), Decimal("0.006")


def sent(request_id: str, **about: Any) -> Sent:
    values: dict[str, Any] = {"manner": "once", "began": 1.0, "ended": 2.0}
    return Sent(request_id, **values | about)


def row(request_id: str, state: str = "answered", **about: Any) -> Any:
    values: dict[str, Any] = {"role": "remote", "cost": PRICE, "upper_bound": MOST, "served": state == "answered"}
    return SimpleNamespace(request_id=request_id, idempotency_key=f"key-{request_id}", state=state, **values | about)


def billed(request_id: str, **about: Any) -> Billed:
    values: dict[str, Any] = {"fate": "answered", "input_tokens": 1, "output_tokens": 1, "cost": PRICE, "at": 10.0}
    return Billed(f"key-{request_id}", **values | about)


@pytest.fixture
def status(tmp_path: Any) -> TaskStatus:
    status = Lifecycle(task_settings(tmp_path, Plan(1, 1))).status(datetime(2026, 3, 1, tzinfo=UTC))
    return status.model_copy(update={"spend": PRICE + MOST})


@pytest.fixture
def books(status: TaskStatus) -> Books:
    """Two requests: one answered, one whose outcome nobody knows."""
    return Books(
        ends={"a": [sent("a", output="{}")], "b": [sent("b", error="OutcomeUnknown")]},
        journal=[row("a"), row("b", "intent", cost=None)],
        bill=[billed("a"), billed("b", fate="hang")],
        status=status,
        caps=[(0.0, Decimal("0.1"))],
        idempotent=False,
    )


def test_right_books_pass(books: Books) -> None:
    assert audit(books) == []


@pytest.mark.parametrize(
    ("ends", "words"),
    [
        ([sent("a", error="DeadlineExceeded", manner="impatient")], "a was never answered"),
        ([sent("a", error="DeadlineExceeded"), sent("a", output="{}")], "a was stuck"),
        ([sent("a", output="{}"), sent("a", output="[]")], "a got 2 different answers"),
        ([sent("a", error="unnamed: KeyError", message="x")], "a failed without a name"),
        ([sent("a", output="{}"), sent("a", error="StoreError", began=3.0, ended=4.0)], "a was answered, and then"),
    ],
)
def test_a_request_without_its_one_end_is_found(books: Books, ends: list[Sent], words: str) -> None:
    (found,) = audit(replace(books, ends=books.ends | {"a": ends}))
    assert words in found


def test_an_error_that_a_second_attempt_turned_into_an_answer_is_no_violation(books: Books) -> None:
    ends = [sent("a", error="StoreError"), sent("a", output="{}", began=3.0, ended=4.0)]
    assert audit(replace(books, ends=books.ends | {"a": ends})) == []


@pytest.mark.parametrize(
    ("journal", "bill", "words"),
    [
        ([row("a")], [billed("a"), billed("a", cost=Decimal("0.0005"))], "was paid 2 times"),
        ([], [billed("a")], "nowhere in the journal"),
        ([row("a", "failed", cost=None)], [billed("a")], "failed in the journal"),
        ([row("a")], [billed("a", cost=2 * PRICE)], "cost 0.002, and is counted at 0.001"),
        ([row("a", "intent", cost=None)], [billed("a", cost=2 * MOST)], "is counted at 0.006"),
        ([row("a")], [], "never paid"),
        ([row("a"), row("a", role="local")], [billed("a")], "2 served answers"),
    ],
)
def test_a_call_that_the_books_do_not_agree_on_is_found(
    books: Books, journal: list[Any], bill: list[Billed], words: str
) -> None:
    found = audit(replace(books, journal=journal, bill=bill))
    assert any(words in one for one in found), found


def test_a_cap_that_was_passed_is_found_by_the_providers_clock(books: Books) -> None:
    caps = [(0.0, Decimal("0.0015")), (20.0, Decimal("0.1"))]
    assert audit(replace(books, caps=caps)) == ["the provider had billed 0.002 when the cap was 0.0015"]
    assert audit(replace(books, caps=[(0.0, Decimal("0.0015")), (5.0, Decimal("0.1"))])) == []


def test_a_task_that_counts_too_little_is_found(books: Books, status: TaskStatus) -> None:
    short = status.model_copy(update={"spend": PRICE})
    assert len(audit(replace(books, status=short))) == 2


def test_money_that_stays_reserved_and_training_that_does_not_end_are_found(books: Books, status: TaskStatus) -> None:
    cap = status.caps[0].model_copy(update={"reserved": MOST})
    left = status.model_copy(update={"caps": [cap], "training": 3})
    assert audit(replace(books, status=left)) == [
        "0.006 is still reserved of the monthly cap",
        "fine-tune 3 has not ended",
    ]


def test_recovery_is_the_time_to_the_next_reply_and_the_longest_silence() -> None:
    (pause,) = recovery([("killed", 10.0), ("killed", 100.0)], [9.0, 10.5, 16.5, 17.0, 103.0])
    assert (pause.median, pause.longest, pause.silence_median, pause.silence_longest) == (1.75, 3.0, 4.5, 6.0)
