"""Callers: through the real client, some twice at once, some without patience, some again later."""

import asyncio
import itertools
import json
import random
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from apprentice.messages import Source
from client import Apprentice, errors
from tests.workflows.traffic import tickets

# Longer than anything that passes by itself: who waits this long, waits for ever.
PATIENCE = 150.0
Manner = Literal["once", "twin", "impatient", "again"]


@dataclass(frozen=True)
class Sent:
    """One sending of a request and what came of it: `output` (as JSON), or the name of the `error`."""

    request_id: str
    manner: Manner
    began: float
    ended: float
    output: str | None = None
    error: str | None = None
    message: str = ""
    source: Source | None = None
    cost: Decimal = Decimal(0)
    degraded: bool = False
    replayed: bool = False


@dataclass
class Load:
    """All that was ever sent. Times are monotonic."""

    apprentice: Apprentice
    task: str
    rng: random.Random
    sent: list[Sent] = field(default_factory=list)
    inputs: dict[str, dict[str, str]] = field(default_factory=dict)
    stopping: bool = False
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    async def run(self, callers: int, think: float) -> None:
        """Until `stopping`; every caller ends what it began."""
        await asyncio.gather(*(self._caller(random.Random(self.rng.random()), think) for _ in range(callers)))

    async def collect(self, at_once: int = 32) -> None:
        """Ask again for every request that has only run out of its caller's patience, and for some that ended."""
        ends = self.ends()
        open_ended = [key for key, ended in ends.items() if all(one.error == "DeadlineExceeded" for one in ended)]
        closed = sorted(ends.keys() - set(open_ended))
        chosen = open_ended + self.rng.sample(closed, min(len(closed), 300))
        slots = asyncio.Semaphore(at_once)

        async def one(request_id: str) -> None:
            async with slots:
                # A new attempt where it has ended: to the server it is another update, for the store to answer.
                await self.send(request_id, "again", PATIENCE, attempt=0 if request_id in open_ended else 1)

        await asyncio.gather(*map(one, chosen))

    async def heard(self, seconds: float) -> None:
        """Return when callers hear something new, or after so many seconds."""
        before = len(self.sent)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while all(sent.error == "DeadlineExceeded" for sent in self.sent[before:]):  # noqa: ASYNC110 - polled
                    await asyncio.sleep(0.05)

    def ends(self) -> dict[str, list[Sent]]:
        """Everything that came of each request, in order."""
        found: dict[str, list[Sent]] = {request_id: [] for request_id in self.inputs}
        for sent in sorted(self.sent, key=lambda sent: sent.ended):
            found[sent.request_id].append(sent)
        return found

    async def send(self, request_id: str, manner: Manner, deadline: float, attempt: int = 0) -> Sent:
        """Send once; whatever happens is on record."""
        began = time.monotonic()
        try:
            result = await self.apprentice.run(
                self.task, self.inputs[request_id], request_id=request_id, deadline=deadline, attempt=attempt
            )
        except errors.RequestFailed as error:
            sent = Sent(request_id, manner, began, time.monotonic(), error=error.kind, message=str(error))
        except (errors.BudgetExhausted, errors.DeadlineExceeded) as error:
            sent = Sent(request_id, manner, began, time.monotonic(), error=type(error).__name__, message=str(error))
        except Exception as error:
            name = f"unnamed: {type(error).__name__}"
            sent = Sent(request_id, manner, began, time.monotonic(), error=name, message=str(error))
        else:
            sent = Sent(
                request_id,
                manner,
                began,
                time.monotonic(),
                output=json.dumps(result.output, sort_keys=True),
                source=result.trace.served_by,
                cost=result.trace.cost,
                degraded=result.degraded,
                replayed=result.trace.replayed,
            )
        self.sent.append(sent)
        return sent

    async def _caller(self, rng: random.Random, think: float) -> None:
        while not self.stopping:
            number = next(self._numbers)
            request_id = f"r-{number}"
            self.inputs[request_id] = tickets(1, seed=number, first=number)[0]
            match rng.random():
                case coin if coin < 0.1:
                    await asyncio.gather(*(self.send(request_id, "twin", PATIENCE) for _ in range(2)))
                case coin if coin < 0.25:
                    await self.send(request_id, "impatient", rng.uniform(0.05, 1.0))
                case coin if coin < 0.35:
                    await self.send(request_id, "once", PATIENCE)
                    await self.send(request_id, "again", PATIENCE, attempt=rng.randrange(2))
                case _:
                    await self.send(request_id, "once", PATIENCE)
            await asyncio.sleep(rng.uniform(0, 2 * think))
