"""Traffic and settings that bring a task through its phases in seconds, by a rule that any version learns wholly.

What a version is measured on depends on coins and on the order of answers. Where every version agrees with the teacher
on everything, that changes nothing: each is promoted, and each comes to serve.
"""

import asyncio
import random
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import count as naturals
from typing import Any

from activities.remote.rule import choose
from apprentice.messages import ForceRemote, Phase, Resume, TaskResult, TaskStatus
from client import Apprentice

# For what takes seconds: a training gives way to all else, and a machine can be busy.
PATIENCE = 240.0
CATEGORIES = ("billing", "shipping", "account")
KINDS = (("fee", "bill"), ("box", "van"), ("pin", "key"))
"""Words of one kind go together in a ticket. Short: the longer a word, the less the simulated teacher cares."""
QUICK: dict[str, Any] = {
    "confidence_thresholds": {"phase1_to_phase2": 60},
    "sampling": {"window_size": 50, "trend_sensitivity": 0.01},
}
"""Settings with which 60 examples start the first fine-tune; about twelve of them are held out."""


def tickets(count: int, seed: int = 1, first: int = 0) -> list[dict[str, str]]:
    """Inputs that are all different: two words of one kind, which decide, and a long number, which does not."""
    rng = random.Random(seed)
    kinds = [rng.choice(KINDS) for _ in range(count)]
    return [
        {"text": f"{rng.choice(kind)} {rng.choice(kind)} {_reference(number)}"}
        for number, kind in enumerate(kinds, first)
    ]


@cache
def clear_seed(task: str) -> int:
    """The first `simulation.seed` with which this task's teacher has one category, and another one, for each kind of
    `tickets`, whatever the number: the rule depends on task and seed."""
    return next(seed for seed in naturals() if _is_clear(f"{seed}:{task}/category"))


def _is_clear(rule: str) -> bool:
    said: list[str] = []
    for kind in KINDS:
        answers = {choose(CATEGORIES, frozenset({word}), rule) for word in kind}
        if len(answers) > 1 or answers & set(said):
            return False
        said += answers
    numbered: Iterator[tuple[str, str, str]] = (
        (answer, word, _reference(number))
        for answer, kind in zip(said, KINDS, strict=True)
        for word in kind
        for number in range(0, 5000, 50)
    )
    return all(choose(CATEGORIES, frozenset({word, number}), rule) == answer for answer, word, number in numbered)


def _reference(number: int) -> str:
    """Numbers that follow each other look nothing alike."""
    return f"reference{random.Random(number).randrange(10**40):040}"


async def send(
    apprentice: Apprentice, task: str, inputs: Sequence[dict[str, Any]], *, at_once: int = 20, deadline: float = PATIENCE
) -> list[TaskResult]:
    """All answers, `at_once` requests in flight."""
    slots = asyncio.Semaphore(at_once)

    async def one(input: dict[str, Any]) -> TaskResult:
        async with slots:
            return await apprentice.run(task, input, deadline=deadline)

    return list(await asyncio.gather(*map(one, inputs)))


async def teach(apprentice: Apprentice, task: str, inputs: Sequence[dict[str, Any]]) -> list[TaskResult]:
    """All answers, from the remote model and learnt from, whatever the phase and its coins."""
    await apprentice.operate(task, ForceRemote())
    results = await send(apprentice, task, inputs)
    await apprentice.operate(task, Resume())
    return results


async def until(
    apprentice: Apprentice, task: str, met: Callable[[TaskStatus], bool], seconds: float = PATIENCE
) -> TaskStatus:
    """The status once it is so. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while not met(status := await apprentice.status(task)):  # noqa: ASYNC110 - another process knows it
            await asyncio.sleep(0.1)
        return status


async def settled(apprentice: Apprentice, task: str, fine_tunes: int = 1, seconds: float = PATIENCE) -> TaskStatus:
    """The status once no fine-tune runs and `fine_tunes` have ended. Raises TimeoutError."""
    return await until(
        apprentice, task, lambda status: status.training is None and len(status.versions) >= fine_tunes, seconds
    )


async def autonomous(apprentice: Apprentice, task: str, first: int = 5000, most: int = 600) -> TaskStatus:
    """The status in phase 3, after as many tickets as that takes, numbered from `first`; fails after `most`."""
    for sent in range(0, most, 20):
        if (status := await apprentice.status(task)).phase is Phase.AUTONOMOUS:
            return status
        await send(apprentice, task, tickets(20, seed=first + sent, first=first + sent))
    raise AssertionError(f"{most} requests did not bring phase 3: {(await apprentice.status(task)).explanation}")
