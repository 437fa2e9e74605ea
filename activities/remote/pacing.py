"""Waiting for a turn before a call: the rates that a provider allows an account, kept by all workers together.

What is allowed is decided by `apprentice.pace` over a row of the store; here it is asked, and slept. In each process
the calls of one task stand in a line, whose first asks for all: a flood costs the store no more than a trickle.

Why no library: `limits` and `aiolimiter` have no SQL storage, `pyrate-limiter` writes a row for each token into a table
of its own, and none of them shares a limit fairly between those that wait for it.
"""

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from temporalio import activity

from activities.remote.errors import RateLimited
from activities.remote.model import Question
from activities.store import StoreError
from activities.store.paces import Paces
from apprentice import pace, teachers
from apprentice.pace import Limits
from apprentice.prices import estimate_tokens
from apprentice.settings import ProviderSettings

# The longest between two looks. Who waits is remembered a little longer than until it was to come back.
STEP = 1.0
SHORTEST_RETRY, LONGEST_RETRY = 1.0, 60.0
LONGEST_ACCOUNT = 300


@dataclass(frozen=True, slots=True)
class Turn:
    """A call that may be made now; `tokens` were counted for it at `at`."""

    account: str
    limits: Limits
    task: str
    tokens: int
    at: float


@dataclass
class _Line:
    """`back` is when the next one that is sent away should come back: one after the other, as the pace will be."""

    first: asyncio.Lock = field(default_factory=asyncio.Lock)
    back: float = 0.0


class Pacing:
    """Belongs to an event loop. `window` is the minute that the limits are for: shorter in tests only."""

    def __init__(
        self,
        paces: Paces,
        clock: Callable[[], datetime],
        *,
        window: float = pace.MINUTE,
        patience: float = pace.PATIENCE,
    ) -> None:
        self._paces = paces
        self._clock = clock
        self._window = window
        self._patience = patience
        self._lines: dict[tuple[str, str], _Line] = {}
        self._pauses: dict[str, float] = {}

    async def __call__(self, provider: ProviderSettings, task: str, tokens: int) -> Turn | None:
        """Wait until a call of at most `tokens` tokens may be sent; None where no limit is configured.

        Raises RateLimited, with the seconds after which to come back, when that takes longer than a few seconds.
        """
        account, limits = row_of(provider), self._limits(provider)
        if limits is None:
            await self._pause(account)
            return None
        line = self._lines.setdefault((account, task), _Line())
        turn, loop = Turn(account, limits, task, tokens, 0.0), asyncio.get_running_loop()
        until = loop.time() + self._patience
        try:
            async with asyncio.timeout_at(until):
                await line.first.acquire()
        except TimeoutError:
            raise self._later(turn, line, 0.0) from None
        try:
            return await self._first_in_line(turn, line, until)
        finally:
            line.first.release()

    def waits(self, provider: ProviderSettings) -> bool:
        """Whether a call may have to wait, or be sent away."""
        return self._limits(provider) is not None or row_of(provider) in self._pauses

    async def settle(self, turn: Turn | None, tokens: int) -> None:
        """Give back what was counted too much for a call that took `tokens`. Never fails: the call is paid."""
        if turn is None or turn.limits.tokens is None or tokens == turn.tokens:
            return
        limits, task, reserved, at = turn.limits, turn.task, turn.tokens, turn.at

        def change(text: str | None) -> tuple[str, None]:
            return pace.settle(pace.load(text), limits, task, reserved, tokens, at).dump(), None

        await self._say(turn.account, change)

    async def slow_down(self, provider: ProviderSettings, seconds: float) -> None:
        """Let nobody send for so long, as the provider asked with a 429. Without limits, nobody of this process."""
        account, limits, until = row_of(provider), self._limits(provider), self._now() + seconds
        if limits is None:
            self._pauses[account] = max(until, self._pauses.get(account, 0.0))
            return
        ours = limits

        def change(text: str | None) -> tuple[str, None]:
            return pace.slow_down(pace.load(text), ours, until).dump(), None

        await self._say(account, change)

    async def _first_in_line(self, turn: Turn, line: _Line, until: float) -> Turn:
        loop = asyncio.get_running_loop()
        while True:
            taken, wait = await self._take(turn)
            if not wait:
                return taken
            if loop.time() + wait > until:
                raise self._later(turn, line, wait)
            await asyncio.sleep(min(wait, STEP))

    async def _take(self, turn: Turn) -> tuple[Turn, float]:
        def change(text: str | None) -> tuple[str, tuple[float, float]]:
            # The time as it is when the row is ours, not when we got in line for it.
            state, wait = pace.take(pace.load(text), turn.limits, turn.task, turn.tokens, self._now())
            return state.dump(), (state.now, wait)

        try:
            at, wait = await self._paces.change(turn.account, change)
        except StoreError as error:
            raise RateLimited(f"nobody can tell whether the rate limit has room: {error}", SHORTEST_RETRY) from None
        return Turn(turn.account, turn.limits, turn.task, turn.tokens, at), wait

    async def _pause(self, account: str) -> None:
        until = self._pauses.get(account)
        if until is None:
            return
        wait = until - self._now()
        # Without limits of ours an attempt has no time for waiting besides the provider's time-out.
        if wait > STEP:
            raise RateLimited("the provider asked to be left alone", wait)
        if wait > 0:
            await asyncio.sleep(wait)
        if self._pauses.get(account) == until:
            del self._pauses[account]

    async def _say(self, account: str, change: Callable[[str | None], tuple[str, None]]) -> None:
        try:
            await self._paces.change(account, change)
        except StoreError as error:
            activity.logger.warning("the pace of a provider's account is not up to date: %s", error)

    def _later(self, turn: Turn, line: _Line, wait: float) -> RateLimited:
        limits, now = turn.limits, self._now()
        back = min(max(now + wait, line.back), now + max(wait, LONGEST_RETRY))
        line.back = back + limits.share(turn.tokens) * limits.window
        said = f"{limits.requests or 'any number of'} requests and {limits.tokens or 'any number of'} tokens a minute"
        return RateLimited(f"rate_limits: waiting for a turn ({said})", max(SHORTEST_RETRY, back - now))

    def _limits(self, provider: ProviderSettings) -> Limits | None:
        ours = provider.rate_limits
        if ours.requests_per_minute is None and ours.tokens_per_minute is None:
            return None
        return Limits(ours.requests_per_minute, ours.tokens_per_minute, self._window)

    def _now(self) -> float:
        return self._clock().timestamp()


def tokens_of(question: Question) -> int:
    """What a call is counted at until it has been made: a token for four bytes, and the longest answer."""
    system, turns, user = question.prompt
    texts = [system, user, *(text for turn in turns for text in turn)]
    return -(-sum(map(estimate_tokens, texts)) // 4) + question.max_output_tokens


def row_of(provider: ProviderSettings) -> str:
    """The account, as the store's column has room for it."""
    name = teachers.account(provider)
    if len(name) <= LONGEST_ACCOUNT:
        return name
    return name[: LONGEST_ACCOUNT - 65] + " " + hashlib.sha256(name.encode()).hexdigest()
