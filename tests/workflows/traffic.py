"""Traffic and settings that bring a task through its phases in seconds."""

import asyncio
import random
from collections.abc import Sequence
from typing import Any

from apprentice.messages import TaskResult, TaskStatus
from client import Apprentice

WORDS = ("invoice", "parcel", "password", "refund", "courier", "login")
QUICK: dict[str, Any] = {
    "confidence_thresholds": {"phase1_to_phase2": 60},
    "sampling": {"window_size": 50, "trend_sensitivity": 0.01},
}
"""Settings with which 60 examples start the first fine-tune; about twelve of them are held out."""


def tickets(count: int, seed: int = 1, first: int = 0) -> list[dict[str, str]]:
    """Inputs that are all different, with few words that matter: the longer a word, the less the simulated teacher
    cares, so that the number changes nothing and a student learns the rest from fifty examples."""
    rng = random.Random(seed)
    return [{"text": f"{rng.choice(WORDS)} {rng.choice(WORDS)} reference{first + n:040}"} for n in range(count)]


async def send(
    apprentice: Apprentice, task: str, inputs: Sequence[dict[str, Any]], *, at_once: int = 20, deadline: float = 120
) -> list[TaskResult]:
    """All answers, `at_once` requests in flight."""
    slots = asyncio.Semaphore(at_once)

    async def one(input: dict[str, Any]) -> TaskResult:
        async with slots:
            return await apprentice.run(task, input, deadline=deadline)

    return list(await asyncio.gather(*map(one, inputs)))


async def settled(apprentice: Apprentice, task: str, fine_tunes: int = 1, seconds: float = 90) -> TaskStatus:
    """The status once no fine-tune runs and `fine_tunes` have ended. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while True:
            status = await apprentice.status(task)
            if status.training is None and len(status.versions) >= fine_tunes:
                return status
            await asyncio.sleep(0.1)
