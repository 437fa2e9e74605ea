"""How fast a provider's account may be used: limits that hold in every minute, and turns between the tasks that wait.

Pure. One `State` is all that the workers of an account share. `take` is asked before each call and answers "go" or
"come back in so many seconds"; nobody schedules, so that a worker may die at any moment.

Three rules, for requests and for tokens alike:
- The minute. What was sent is counted by seconds. Nothing is sent that would make the last 61 of them (a second more
  than a minute: calls are not all on the way for equally long) hold more than the limit, wherever a provider begins
  its minutes.
- The pace. Calls are spread over the minute (GCRA, ITU-T I.371), as providers enforce 60 a minute as one a second. A
  burst of some seconds' worth is let through, but never one after having waited for the minute to pass.
- The turn. Of the tasks that wait, the one goes first that had least (start-time fair queueing, Goyal et al. 1996):
  each gets what it asks for or an equal share, and a task that comes now and then does not wait behind a flood.

Tokens are counted as reserved until the call is settled to its real ones.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import NamedTuple

MINUTE = 60.0
# Parts that a minute is counted in, and how many of them are looked back on: those of a minute, the one that has just
# begun, and one more as a margin.
PARTS = 60
LOOK_BACK = PARTS + 2
# Bursts, as parts of a minute. Tokens need more room: what calls in flight have reserved too much is not free yet.
REQUEST_BURST = 3 / 60
TOKEN_BURST = 10 / 60
# How far one task may be ahead of a waiting one, as a part of the limit: taking turns call by call would cost a
# look into the store for each.
LEAD = 1 / 60
# A task that waits is remembered this long after it was to come back: a dead worker's wish must not stop the others.
PATIENT_SECONDS = 3.0
# Until whoever's turn it is has come.
TURN_SECONDS = 0.1
# A call waits this long on the spot. Then its activity ends and is tried again: it holds one of a worker's slots.
PATIENCE = 10.0


@dataclass(frozen=True, slots=True)
class Limits:
    """What may be sent in any `window` seconds; None is no limit."""

    requests: int | None
    tokens: int | None
    window: float = MINUTE

    def share(self, tokens: int) -> float:
        """What part of a window's worth a call is: of requests or of tokens, whichever is more."""
        of_requests = 1 / self.requests if self.requests else 0.0
        return max(of_requests, tokens / self.tokens if self.tokens else 0.0)


class Sent(NamedTuple):
    """What was sent in one part of a window; `part` numbers it since the epoch."""

    part: int
    requests: int
    tokens: int


@dataclass(frozen=True, slots=True)
class State:
    """One account. Times are seconds since the epoch, by whichever worker's clock is ahead.

    `next_request` and `next_token` are when the pace would be kept if nothing more were sent. `turns` says for each
    task how much it had (in windows' worth), of those that had more than `floor`, where all others stand.
    """

    now: float = 0.0
    until: float = 0.0
    sent: tuple[Sent, ...] = ()
    next_request: float = 0.0
    next_token: float = 0.0
    floor: float = 0.0
    turns: Mapping[str, float] = field(default_factory=dict)
    waiting: Mapping[str, float] = field(default_factory=dict)

    def dump(self) -> str:
        """As JSON, at most a few KiB."""
        return json.dumps(asdict(self), separators=(",", ":"))


def load(text: str | None) -> State:
    """What `dump` wrote; a new account for None."""
    if text is None:
        return State()
    values = json.loads(text)
    return State(**values | {"sent": tuple(Sent(*each) for each in values["sent"])})


def take(state: State, limits: Limits, task: str, tokens: int, now: float) -> tuple[State, float]:
    """Whether `task` may make a call of at most `tokens` tokens: 0.0 and it is counted, or seconds to come back in."""
    state = _aged(state, limits, now)
    # A call that no minute has room for waits for an empty one; the provider will say what it thinks of it.
    tokens = min(tokens, limits.tokens or tokens)
    state, wait = _room(state, limits, tokens)
    wait = wait or (0.0 if _has_turn(state, task) else TURN_SECONDS)
    if wait:
        waiting = {**state.waiting, task: state.now + wait + PATIENT_SECONDS}
        return replace(state, waiting=waiting), wait
    return _sent(state, limits, task, tokens), 0.0


def settle(state: State, limits: Limits, task: str, reserved: int, real: int, at: float) -> State:
    """Give back what a call made at `at` had reserved too much; or count what it took more."""
    reserved = min(reserved, limits.tokens or reserved)
    part, more = _part(limits, at), real - reserved
    sent = tuple(each._replace(tokens=max(0, each.tokens + more)) if each.part == part else each for each in state.sent)
    turns = dict(state.turns)
    if task in turns:
        turns[task] += limits.share(real) - limits.share(reserved)
    next_token = state.next_token + (more * limits.window / limits.tokens if limits.tokens else 0.0)
    return replace(state, sent=sent, turns=turns, next_token=next_token)


def slow_down(state: State, limits: Limits, until: float) -> State:
    """Send nothing before `until`, as the provider says, and no burst then. At most a window from now."""
    until = max(state.until, until)
    return replace(
        state,
        until=until,
        next_request=max(state.next_request, until + REQUEST_BURST * limits.window),
        next_token=max(state.next_token, until + TOKEN_BURST * limits.window),
    )


def _aged(state: State, limits: Limits, now: float) -> State:
    # Clocks differ a little between machines: the one ahead counts. One that is far ahead was wrong.
    if state.now > now + limits.window:
        state = State()
    now = max(now, state.now)
    oldest = _part(limits, now) - LOOK_BACK
    return replace(
        state,
        now=now,
        sent=tuple(each for each in state.sent if each.part > oldest),
        waiting={task: until for task, until in state.waiting.items() if until > now},
    )


def _room(state: State, limits: Limits, tokens: int) -> tuple[State, float]:
    """Seconds until the call would keep to the limits. Who waits for the minute to pass has no burst after it."""
    wait, now, window = state.until - state.now, state.now, limits.window
    if limits.requests:
        wait = max(wait, state.next_request - REQUEST_BURST * window - now)
        passing = _passing(state, limits, [each.requests for each in state.sent], limits.requests - 1)
        if passing:
            wait = max(wait, passing)
            state = replace(state, next_request=max(state.next_request, now + REQUEST_BURST * window))
    if limits.tokens:
        wait = max(wait, state.next_token - TOKEN_BURST * window - now)
        passing = _passing(state, limits, [each.tokens for each in state.sent], limits.tokens - tokens)
        if passing:
            wait = max(wait, passing)
            state = replace(state, next_token=max(state.next_token, now + TOKEN_BURST * window))
    return state, max(0.0, wait)


def _passing(state: State, limits: Limits, amounts: list[int], most: int) -> float:
    """Seconds until so many parts have passed that the others hold at most `most`."""
    total, wait = sum(amounts), 0.0
    for each, amount in zip(state.sent, amounts, strict=True):
        if total <= most:
            break
        total -= amount
        wait = (each.part + LOOK_BACK) * limits.window / PARTS - state.now
    return wait


def _has_turn(state: State, task: str) -> bool:
    others = [_turn(state, each) for each in state.waiting if each != task]
    return not others or _turn(state, task) <= min(others) + LEAD


def _turn(state: State, task: str) -> float:
    """Nobody saves up turns by not coming: who was away stands where the last one stood who went."""
    return max(state.floor, state.turns.get(task, 0.0))


def _sent(state: State, limits: Limits, task: str, tokens: int) -> State:
    now, part = state.now, _part(limits, state.now)
    waiting = {each: until for each, until in state.waiting.items() if each != task}
    turn = _turn(state, task)
    floor = min([turn, *(_turn(state, each) for each in waiting)])
    turns = {**state.turns, task: turn + limits.share(tokens)}
    *before, last = state.sent or (Sent(part, 0, 0),)
    if last.part != part:
        before, last = [*before, last], Sent(part, 0, 0)
    return replace(
        state,
        sent=(*before, Sent(part, last.requests + 1, last.tokens + tokens)),
        next_request=max(state.next_request, now) + (limits.window / limits.requests if limits.requests else 0.0),
        next_token=max(state.next_token, now) + (tokens * limits.window / limits.tokens if limits.tokens else 0.0),
        floor=floor,
        turns={each: had for each, had in turns.items() if had > floor},
        waiting=waiting,
    )


def _part(limits: Limits, time: float) -> int:
    return math.floor(time * PARTS / limits.window)
