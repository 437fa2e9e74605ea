"""What a model wrote is served only if it fits; what it cost, and how sure it was."""

import math
from decimal import Decimal
from typing import Any

import pytest

from activities.local.completion import Completion, confidence, cost, read, to_answer
from activities.local.model import BadAnswer
from apprentice.settings import LocalSettings, TaskSettings

SETTINGS = TaskSettings.model_validate(
    {
        "name": "tickets",
        "input_schema": {"text": "str"},
        "output_schema": {"category": ["a", "b"], "priority?": "int"},
        "remote": {"provider": "simulated", "model": "m", "price": {}},
        "local": {"backend": "ollama", "base_model": "m", "cost_per_hour": Decimal("3.6")},
    }
)


def completion(text: str = '{"category": "a"}', **changes: Any) -> Completion:
    return Completion(text=text, model="m", seconds=2.0)._replace(**changes)


def test_an_answer_that_fits_is_served_with_its_price_and_its_confidence() -> None:
    told = completion(input_tokens=7, output_tokens=3, log_probabilities=[math.log(0.9), math.log(0.4)])
    answer = to_answer(SETTINGS, 4, told)
    assert answer.output == {"category": "a"}
    assert (answer.version, answer.input_tokens, answer.output_tokens) == (4, 7, 3)
    assert answer.cost == Decimal("0.002")
    assert answer.confidence == pytest.approx(0.6)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "not JSON"),
        ('{"category": "a"', "not JSON"),
        ('"a"', "does not fit"),
        ('{"category": "c"}', "category: "),
        ('{"category": "a", "priority": "high"}', "priority: "),
        ('{"category": "a", "extra": 1}', "extra: "),
        ('{"category": "a", "priority": 1e999}', "priority: "),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_what_does_not_fit_is_never_served_and_never_quoted(text: str, why: str) -> None:
    with pytest.raises(BadAnswer, match=why) as told:
        read(SETTINGS, completion(text))
    assert "high" not in str(told.value)


def test_an_answer_that_was_cut_off_is_not_served_even_if_it_fits() -> None:
    with pytest.raises(BadAnswer, match=r"local\.max_output_tokens"):
        read(SETTINGS, completion(cut_off=True))


@pytest.mark.parametrize(
    ("log_probabilities", "expected"),
    [(None, None), ([], None), ([0.0, 0.0], 1.0), ([float("-inf")], None), ([1e-9], 1.0), ([-1000.0], 0.0)],
)
def test_confidence_is_a_probability_or_nothing(log_probabilities: list[float] | None, expected: float | None) -> None:
    assert confidence(log_probabilities) == expected


def test_a_free_server_costs_nothing() -> None:
    assert cost(LocalSettings(), 5.0) == 0
