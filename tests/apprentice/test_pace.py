"""How fast an account is used: limits in any minute, turns between tasks, nothing left unused. In simulated time."""

import heapq
import itertools
import json
import random
from collections import Counter
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from apprentice.pace import LOOK_BACK, PATIENT_SECONDS, Limits, State, load, settle, slow_down, take

START = 1_700_000_000.25
STEP = 1.0


@dataclass
class Line:
    """One task at one worker: calls come at these times (seconds from the start), the first in line asks."""

    task: str
    arrivals: list[float]
    tokens: int = 100
    real: int | None = None
    seconds: float = 1.0


@dataclass
class Traffic:
    """What was sent: (time, task, tokens) each; and what is still in line at the end, by task."""

    sent: list[tuple[float, str, int]] = field(default_factory=list)
    left: Counter[str] = field(default_factory=Counter)

    def fullest(self, window: float = 60.0, *, tokens: bool = False) -> int:
        """The most in any window, which may begin with any call."""
        most = total = first = 0
        for time, _, amount in self.sent:
            total += amount if tokens else 1
            while self.sent[first][0] <= time - window:
                total -= self.sent[first][2] if tokens else 1
                first += 1
            most = max(most, total)
        return most

    def of(self, task: str, after: float = 0.0) -> int:
        return sum(1 for time, whose, _ in self.sent if whose == task and time >= START + after)


def flood(task: str, calls: int = 100_000, tokens: int = 100, **more: float) -> Line:
    return Line(task, [0.0] * calls, tokens, **more)  # type: ignore[arg-type]


def steady(task: str, every: float, seconds: float, tokens: int = 100) -> Line:
    return Line(task, [n * every for n in range(int(seconds / every))], tokens)


def simulate(limits: Limits, lines: list[Line], seconds: float, seed: int = 0, late: float = 0.02) -> Traffic:
    """The lines ask whenever they were told to come back, but at least every second, up to `late` seconds late."""
    coins, state, traffic, tie = random.Random(seed), State(), Traffic(), itertools.count()
    at = [0] * len(lines)
    events: list[tuple[float, int, str, tuple[float, ...]]] = []
    for number, line in enumerate(lines):
        if line.arrivals:
            heapq.heappush(events, (line.arrivals[0], next(tie), "ask", (number,)))
    while events and events[0][0] <= seconds:
        now, _, kind, about = heapq.heappop(events)
        line = lines[int(about[0])]
        if kind == "settle":
            state = settle(state, limits, line.task, line.tokens, line.real or 0, about[1])
            continue
        state, wait = take(state, limits, line.task, line.tokens, START + now)
        if wait:
            back = now + min(wait, STEP) + coins.uniform(0, late)
            heapq.heappush(events, (back, next(tie), "ask", about))
            continue
        traffic.sent.append((START + now, line.task, line.tokens if line.real is None else line.real))
        if line.real is not None:
            heapq.heappush(events, (now + line.seconds, next(tie), "settle", (about[0], START + now)))
        number = int(about[0])
        at[number] += 1
        if at[number] < len(line.arrivals):
            heapq.heappush(events, (max(now, line.arrivals[at[number]]), next(tie), "ask", about))
    for number, line in enumerate(lines):
        traffic.left[line.task] += sum(1 for arrival in line.arrivals[at[number] :] if arrival <= seconds)
    return traffic


@given(
    requests=st.none() | st.integers(1, 300),
    tokens=st.none() | st.integers(1, 30_000),
    calls=st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 5), st.integers(1, 5_000)), max_size=300),
)
def test_no_minute_ever_holds_more_than_the_limits_whoever_asks_when(
    requests: int | None, tokens: int | None, calls: list[tuple[str, float, int]]
) -> None:
    limits, state, now, traffic = Limits(requests, tokens), State(), START, Traffic()
    for task, pause, amount in calls:
        now += pause
        state, wait = take(state, limits, task, amount, now)
        if not wait:
            traffic.sent.append((now, task, min(amount, tokens or amount)))
    assert traffic.fullest(61.0) <= (requests or 300)
    assert traffic.fullest(61.0, tokens=True) <= (tokens or 2_000_000)


@pytest.mark.parametrize("requests", [1, 5, 10, 60, 500, 4000])
def test_requests_use_nearly_all_of_the_limit_and_never_more(requests: int) -> None:
    minutes = 20 if requests < 100 else 4
    traffic = simulate(Limits(requests, None), [flood("a")], 60.0 * minutes)
    assert traffic.fullest() <= requests
    assert len(traffic.sent) >= 0.95 * requests * minutes


@pytest.mark.parametrize(("limit", "tokens"), [(10_000, 100), (10_000, 900), (90_000, 4_000), (1_000_000, 700)])
def test_tokens_use_nearly_all_of_the_limit_and_never_more(limit: int, tokens: int) -> None:
    traffic = simulate(Limits(None, limit), [flood("a", tokens=tokens)], 600.0)
    assert traffic.fullest(tokens=True) <= limit
    assert sum(amount for _, _, amount in traffic.sent) >= 0.95 * limit * 10


def test_tokens_that_were_reserved_in_vain_are_used_by_others() -> None:
    """600 are set aside, 130 are used, a second later that is known; what is in flight still counts as 600."""
    limits, line = Limits(None, 100_000), flood("a", tokens=600, real=130)
    traffic = simulate(limits, [line], 600.0)
    assert traffic.fullest(tokens=True) <= 100_000
    assert sum(amount for _, _, amount in traffic.sent) >= 0.88 * 100_000 * 10


def test_both_limits_hold_at_once() -> None:
    """The one task is short of requests, the other of tokens: 77 and 23 calls are the same part of each."""
    lines = [flood("many", tokens=50), flood("long", tokens=2_000)]
    traffic = simulate(Limits(100, 60_000), lines, 600.0)
    assert traffic.fullest() <= 100
    assert traffic.fullest(tokens=True) <= 60_000
    assert len(traffic.sent) >= 0.95 * 100 * 10
    assert traffic.of("many") == pytest.approx(770, rel=0.05)


def test_calls_are_spread_over_the_minute() -> None:
    """A provider may enforce 60 a minute as one a second."""
    traffic = simulate(Limits(60, None), [flood("a")], 600.0)
    assert traffic.fullest(10.0) <= 10 + 3 + 1
    assert Traffic(traffic.sent[10:]).fullest(2.0) <= 3


def test_a_flood_does_not_starve_a_task_that_comes_now_and_then() -> None:
    lines = [flood("flood", 1_000), Line("rare", [n * 20.0 for n in range(30)])]
    traffic = simulate(Limits(60, None), lines, 600.0)
    rare = [time - START for time, task, _ in traffic.sent if task == "rare"]
    assert len(rare) == 30
    assert max(time - 20.0 * n for n, time in enumerate(rare)) < 2.5
    assert len(traffic.sent) >= 0.95 * 600


@pytest.mark.parametrize("limit", [12, 60, 600])
def test_each_task_gets_what_it_asks_for_or_a_fair_share(limit: int) -> None:
    minutes = 20
    asked = {"little": limit // 6, "some": limit // 3 - 2}  # a third each is fair; what is left over goes to the others
    lines = [steady(task, 60 / rate, 60.0 * minutes) for task, rate in asked.items()]
    traffic = simulate(Limits(limit, None), [*lines, flood("one"), flood("two")], 60.0 * minutes)
    for task, rate in asked.items():
        fair = (limit - asked["little"]) / 3
        assert traffic.of(task) >= 0.93 * min(rate, fair) * minutes, task
    assert traffic.of("one") == pytest.approx(traffic.of("two"), rel=0.05)
    assert len(traffic.sent) >= 0.95 * limit * minutes


def test_shares_are_of_tokens_where_tokens_are_scarce() -> None:
    lines = [flood("short", tokens=100), flood("long", tokens=1_000)]
    traffic = simulate(Limits(10_000, 60_000), lines, 600.0)
    assert traffic.of("short") * 100 == pytest.approx(traffic.of("long") * 1_000, rel=0.1)


def test_a_second_worker_gives_a_task_no_second_share() -> None:
    lines = [flood("two workers"), flood("two workers"), flood("one worker")]
    traffic = simulate(Limits(120, None), lines, 600.0)
    assert traffic.of("two workers") == pytest.approx(traffic.of("one worker"), rel=0.1)


def test_one_that_comes_late_is_served_at_once_and_takes_no_more_than_its_share() -> None:
    lines = [flood("first"), Line("second", [300.0] * 10_000)]
    traffic = simulate(Limits(60, None), lines, 600.0)
    after = [(traffic.of(task, 300.0) - traffic.of(task, 360.0)) for task in ("first", "second")]
    assert after[0] == pytest.approx(30, abs=4)
    assert after[1] == pytest.approx(30, abs=4)


def test_a_caller_that_leaves_and_comes_back_when_told_to_finds_its_turn_kept() -> None:
    """At two a minute nobody waits on the spot, and a flood asks all the time: who is late would never be served."""
    limits, state, now = Limits(2, None), State(), START
    back = now + 1.0
    served = Counter[str]()
    while now < START + 600:
        if now >= back:
            state, wait = take(state, limits, "rare", 1, now)
            served["rare"] += not wait
            back = now + (wait or 60.0) + 1.5  # as late as that
        state, wait = take(state, limits, "flood", 1, now)
        served["flood"] += not wait
        now += 0.5
    assert served["rare"] >= 8
    assert served.total() >= 18


def test_the_wish_of_a_dead_worker_fades() -> None:
    limits, state = Limits(30, None), State()
    while (asked := take(state, limits, "alive", 1, START))[1] == 0.0:
        state = asked[0]
    state, wait = take(state, limits, "dead", 1, START)
    now = START + wait
    assert take(state, limits, "alive", 1, now + PATIENT_SECONDS - 0.1)[1] > 0.0
    assert take(state, limits, "alive", 1, now + PATIENT_SECONDS + 0.1)[1] == 0.0


def test_after_a_providers_own_limit_nothing_is_sent_until_it_said_and_no_burst_then() -> None:
    limits = Limits(60, 100_000)
    state = slow_down(State(), limits, START + 7)
    state, wait = take(state, limits, "a", 100, START)
    assert wait == pytest.approx(7)
    sent = 0
    while take(state, limits, "a", 100, START + 7)[1] == 0.0:
        state, sent = take(state, limits, "a", 100, START + 7)[0], sent + 1
    assert sent == 1


def test_a_call_larger_than_the_limit_waits_for_an_empty_minute() -> None:
    limits = Limits(None, 1_000)
    state, wait = take(State(), limits, "a", 1, START)
    assert wait == 0.0
    state, wait = take(state, limits, "a", 5_000, START + 1)
    assert 59 < wait <= LOOK_BACK
    state, wait = take(state, limits, "a", 5_000, START + 1 + wait)
    assert wait == 0.0


def test_a_clock_that_is_behind_frees_nothing_and_one_that_was_far_ahead_holds_nobody_up() -> None:
    limits, state = Limits(1, None), State()
    state, _ = take(state, limits, "a", 1, START)
    assert take(state, limits, "a", 1, START - 30)[1] > 60
    state, wait = take(State(), limits, "a", 1, START + 86_400)
    assert wait == 0.0
    assert take(state, limits, "a", 1, START)[1] == 0.0


@hypothesis_settings(max_examples=30)
@given(st.integers(1, 2_000), st.integers(1, 12), st.integers(0, 99))
def test_what_is_remembered_stays_small_and_survives_being_written(requests: int, tasks: int, seed: int) -> None:
    coins, limits, state, now = random.Random(seed), Limits(requests, 10**6), State(), START
    for _ in range(600):
        now += coins.uniform(0, 0.4)
        name = f"task_{coins.randrange(tasks)}"
        state, wait = take(state, limits, name, coins.randrange(1, 3_000), now)
        if not wait and coins.random() < 0.5:
            state = settle(state, limits, name, 1_000, 10, now - 1)
    written = state.dump()
    assert load(written) == state
    assert load(None) == State()
    assert len(written) < 2_500 + 80 * tasks
    assert json.loads(written)["sent"]
