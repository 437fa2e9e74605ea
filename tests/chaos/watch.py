"""Who looks on while it happens: the caps at every moment, the runs of the workflow; and who raises the cap."""

import asyncio
import random
import time
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal

from apprentice.messages import CapStatus, ForceRemote, Phase, Resume, TaskStatus
from apprentice.settings import BudgetSettings
from client import errors
from tests.chaos.load import Load
from tests.chaos.world import World
from workflows.ids import lifecycle_id

LOOK_SECONDS = 0.2
# A cap that has been full this long is raised, so that the run goes on and the cap is reached again and again.
FULL_SECONDS = 2.0
ASK_SECONDS = 20.0


@dataclass
class Watch:
    """What was seen. `caps` are the caps as they were ordered, by Unix time: the provider's clock."""

    world: World
    first: Decimal
    step: Decimal
    caps: list[tuple[float, Decimal]] = field(default_factory=list)
    looks: int = 0
    overspent: list[str] = field(default_factory=list)
    phases: set[Phase] = field(default_factory=set)
    runs: set[str] = field(default_factory=set)
    last: TaskStatus | None = None

    def __post_init__(self) -> None:
        self.caps.append((time.time(), self.first))

    async def look(self) -> None:
        """At the task's status, all the time; what goes wrong with a look is no news here. Runs until cancelled."""
        handle = self.world.apprentice.client.get_workflow_handle(lifecycle_id(self.world.task))
        while True:
            with suppress(Exception):
                async with asyncio.timeout(ASK_SECONDS):
                    self.note(await self.world.apprentice.status(self.world.task))
                    self.runs.add((await handle.describe()).run_id)
            await asyncio.sleep(LOOK_SECONDS)

    async def look_at_budget(self) -> None:
        """For all tasks, likewise: settled and granted, together, within the cap. Runs until cancelled."""
        while True:
            with suppress(Exception):
                async with asyncio.timeout(ASK_SECONDS):
                    self._within((await self.world.apprentice.budget()).caps)
            await asyncio.sleep(LOOK_SECONDS)

    def note(self, status: TaskStatus) -> None:
        """One look."""
        self.last = status
        self.phases.add(status.phase)
        self._within(status.caps)

    def _within(self, caps: list[CapStatus]) -> None:
        self.looks += 1
        for cap in caps:
            if cap.settled + cap.reserved > cap.cap:
                self.overspent.append(f"{cap.period} {cap.settled} + {cap.reserved} > {cap.cap}, until {cap.resets}")

    async def raise_caps(self, load: Load) -> None:
        """The operator, who gives more whenever the cap has been full for a while. Runs until cancelled."""
        since: float | None = None
        seen = 0
        while True:
            await asyncio.sleep(0.25)
            fresh, seen = load.sent[seen:], len(load.sent)
            if any(one.error == "BudgetExhausted" or one.degraded for one in fresh):
                since = since or time.monotonic()
            if since is not None and time.monotonic() - since > FULL_SECONDS:
                since = None
                await self._raise()

    async def force_remote(self, rng: random.Random) -> None:
        """The operator again, who sends everything to the remote model and takes it back, so that money keeps flowing
        once the local model has taken over. Runs until cancelled."""
        while True:
            for order in (ForceRemote(), Resume()):
                await asyncio.sleep(rng.uniform(4, 12))
                with suppress(TimeoutError, errors.ApprenticeError):
                    async with asyncio.timeout(ASK_SECONDS):
                        await self.world.apprentice.operate(self.world.task, order)

    async def _raise(self) -> None:
        cap = self.caps[-1][1] + self.step
        # On record before it is ordered: from here on it may hold at any moment.
        self.caps.append((time.time(), cap))
        while True:
            with suppress(TimeoutError, errors.ApprenticeError):
                async with asyncio.timeout(ASK_SECONDS):
                    await self.world.apprentice.apply_budget(BudgetSettings(monthly=cap))
                    return
            await asyncio.sleep(0.5)
