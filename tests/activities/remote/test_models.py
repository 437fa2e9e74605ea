"""`simulated` and `recorded`: what they answer, charge, and how they fail."""

import asyncio
import json
import statistics
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from activities.remote.errors import InvalidRequest, Overloaded
from activities.remote.model import Question
from activities.remote.recorded import Recorded
from activities.remote.recording import recording
from activities.remote.simulated import Simulated
from apprentice import prompts
from apprentice.messages import Answer, TaskRequest
from apprentice.prices import PROMPT_TOKENS
from apprentice.settings import TaskSettings

Make = Callable[..., TaskSettings]


def request(text: str, request_id: str = "r") -> TaskRequest:
    return TaskRequest(request_id=request_id, task="tickets", input={"text": text})


async def ask(settings: TaskSettings, text: str = "card broken", key: str = "k", model: Any = None) -> Answer:
    model = model or Simulated(settings.remote, settings)
    one = request(text)
    question = Question(one, prompts.build(settings, one.input), key, Decimal(1), settings.remote.max_output_tokens)
    answer: Answer = await model.ask(question)
    return answer


@pytest.fixture
def traffic(tmp_path: Path) -> Path:
    rows = [{"input": {"text": f"t{n}"}, "output": {"category": f"c{n % 5}"}} for n in range(20)]
    rows.append({"input": {"text": "  t0 "}, "output": {"category": "later"}})
    file = tmp_path / "traffic.jsonl"
    file.write_text("\n\n".join(map(json.dumps, rows)) + "\n")
    return file


# --- both: latency, failures, price ---


async def test_an_answer_costs_exactly_its_tokens(settings: Make) -> None:
    text = "word " * 40
    answer = await ask(settings(), text)
    assert answer.input_tokens == PROMPT_TOKENS + -(-len(json.dumps({"text": text})) // 4)
    assert answer.output_tokens == -(-len(json.dumps(answer.output)) // 4)
    assert answer.cost == (3 * Decimal(answer.input_tokens) + 15 * Decimal(answer.output_tokens)) / 1_000_000


async def test_an_answer_never_costs_more_output_than_was_reserved(settings: Make) -> None:
    assert (await ask(settings(max_output_tokens=2))).output_tokens == 2


async def test_a_model_without_a_price_is_refused(settings: Make) -> None:
    unpriced = settings(price=None, model="nobody-knows-this-model")
    with pytest.raises(InvalidRequest, match=r"nobody-knows-this-model.*price"):
        Simulated(unpriced.remote, unpriced)


async def test_an_instant_model_never_sleeps(settings: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    async def sleep(seconds: float) -> None:
        raise AssertionError("slept")

    monkeypatch.setattr(asyncio, "sleep", sleep)
    assert (await ask(settings())).latency_seconds == 0


async def test_latency_is_log_normal_around_its_median(settings: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    slow = settings({"latency_seconds": 2.0, "latency_spread": 0.5, "seed": 4})
    model = Simulated(slow.remote, slow)
    told = [(await ask(slow, model=model)).latency_seconds for _ in range(1000)]
    assert told == slept
    assert statistics.median(slept) == pytest.approx(2.0, rel=0.1)
    assert statistics.quantiles(slept, n=100)[83] == pytest.approx(2.0 * 2.718281828**0.5, rel=0.15)


async def test_a_model_with_latency_takes_its_time(settings: Make) -> None:
    began = time.perf_counter()
    answer = await ask(settings({"latency_seconds": 0.05, "latency_spread": 0}))
    assert time.perf_counter() - began >= 0.05
    assert answer.latency_seconds == pytest.approx(0.05)


async def test_a_failed_attempt_can_be_followed_by_a_good_one_with_the_same_key(settings: Make) -> None:
    shaky = settings({"error_rate": 0.5})
    model = Simulated(shaky.remote, shaky)
    outcomes = await asyncio.gather(*(ask(shaky, model=model) for _ in range(200)), return_exceptions=True)
    failures = [each for each in outcomes if isinstance(each, Overloaded)]
    answers = [each for each in outcomes if isinstance(each, Answer)]
    assert 60 < len(failures) < 140
    assert len(answers) + len(failures) == 200
    assert all(failure.retryable and not failure.charged for failure in failures)
    assert all(answer == answers[0] for answer in answers)


async def test_a_model_that_always_fails_always_fails(settings: Make) -> None:
    for _ in range(20):
        with pytest.raises(Overloaded, match="teacher"):
            await ask(settings({"error_rate": 1.0}))


# --- noise ---


async def test_noise_is_the_share_of_wrong_answers_and_stays_with_the_key(settings: Make) -> None:
    clean, noisy = settings(), settings({"noise": 0.3})
    right = (await ask(clean)).output
    first = [(await ask(noisy, key=f"k{n}")).output for n in range(400)]
    again = [(await ask(noisy, key=f"k{n}")).output for n in range(400)]
    assert first == again
    assert 85 < sum(output != right for output in first) < 155


async def test_a_noisy_recording_answers_with_another_rows_output(settings: Make, traffic: Path) -> None:
    noisy = settings({"noise": 1.0}, provider="recorded", traffic=str(traffic))
    model = Recorded(noisy.remote, noisy)
    outputs = [(await ask(noisy, "t1", f"k{n}", model)).output for n in range(40)]
    assert {"category": "c1"} not in outputs
    assert len({output["category"] for output in outputs}) >= 3


# --- recorded ---


async def test_a_recording_answers_what_was_recorded(settings: Make, traffic: Path) -> None:
    recorded = settings(provider="recorded", traffic=str(traffic))
    model = Recorded(recorded.remote, recorded)
    for n in range(20):
        assert (await ask(recorded, f"t{n}", model=model)).output == {"category": f"c{n % 5}"}
    assert (await ask(recorded, " t0", model=model)).output == {"category": "c0"}


async def test_an_input_that_was_not_recorded_is_refused_without_quoting_it(settings: Make, traffic: Path) -> None:
    recorded = settings(provider="recorded", traffic=str(traffic))
    with pytest.raises(InvalidRequest, match=r"'r' is not in the recording .*traffic\.jsonl") as caught:
        await ask(recorded, "my secret", model=Recorded(recorded.remote, recorded))
    assert "secret" not in str(caught.value)
    assert not caught.value.retryable


async def test_a_recording_needs_a_file(settings: Make, tmp_path: Path) -> None:
    missing = settings(provider="recorded")
    with pytest.raises(InvalidRequest, match="'tickets': the recorded model needs `traffic`"):
        Recorded(missing.remote, missing)
    with pytest.raises(InvalidRequest, match=r"nowhere\.jsonl: No such file"):
        await recording(tmp_path / "nowhere.jsonl")


@pytest.mark.parametrize(
    "line",
    [b"{", b'"text"', b"[]", b'{"input": {}}', b'{"input": {}, "output": 3}', b'{"input": {}, "output": "\xff"}'],
)
async def test_a_bad_row_is_named_by_file_and_line(tmp_path: Path, line: bytes) -> None:
    file = tmp_path / "bad.jsonl"
    file.write_bytes(b'{"input": {"text": "a"}, "output": {}}\n\n' + line + b"\n")
    with pytest.raises(InvalidRequest, match=r"bad\.jsonl, line 3: "):
        await recording(file)


async def test_a_recording_is_parsed_once_until_the_file_changes(traffic: Path) -> None:
    first, second = await asyncio.gather(recording(traffic), recording(traffic))
    assert first is second
    with traffic.open("a") as more:
        more.write('{"input": {"text": "new"}, "output": {"category": "new"}}\n')
    third = await recording(traffic)
    assert third is not first
    assert {"category": "new"} in third.distinct
