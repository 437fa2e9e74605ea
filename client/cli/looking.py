"""Asking how tasks stand: one, or all that run, of which some may have no worker and would keep the others waiting."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

from client import Apprentice
from client.cli.connecting import SILENCE_SECONDS, answered
from client.cli.output import Failed
from client.errors import UnknownTask

NEIGHBOUR_SECONDS = 5.0
"""Once some have answered, server and network are fine: what is silent this much longer has no worker."""


@dataclass(frozen=True)
class Looked[T]:
    """What the tasks answered, sorted by their names, and the names of those that did not answer."""

    answers: list[T]
    silent: list[str]

    def as_json(self, document: Callable[[T], dict[str, Any]]) -> dict[str, Any]:
        """One document for all."""
        return {"tasks": [document(answer) for answer in self.answers], "silent": self.silent}

    @property
    def trouble(self) -> str | None:
        """What to say about the silent ones, if there are any."""
        if not self.silent:
            return None
        silent, whom = ", ".join(self.silent), "it" if len(self.silent) == 1 else "them"
        return f"no answer from {silent}: no worker is running for {whom}; `apprentice worker` starts one"

    def complain(self) -> None:
        """After the answers. Raises Failed for silent tasks: exit code 1, or 3 if nobody answered."""
        if self.trouble:
            raise Failed(self.trouble, 1 if self.answers else 3)


async def look[T](apprentice: Apprentice, task: str | None, ask: Callable[[str], Awaitable[T]]) -> Looked[T]:
    """Ask one task, or all that run at the same time. Raises Failed if one task alone was asked and is silent."""
    if task is not None:
        return Looked([await answered(ask(task))], [])
    asked = {name: asyncio.ensure_future(ask(name)) for name in await answered(apprentice.tasks())}
    try:
        await _wait(asked.values())
        answers = [one.result() for one in asked.values() if one.done() and not _ended(one)]
        return Looked(answers, [name for name, one in asked.items() if not one.done()])
    finally:
        for one in asked.values():
            one.cancel()


async def _wait(asked: Iterable[asyncio.Future[Any]]) -> None:
    """Until all have answered, or none of the others answers any more."""
    late, patience = set(asked), SILENCE_SECONDS
    while late:
        done, late = await asyncio.wait(late, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
        if not done:
            return
        patience = NEIGHBOUR_SECONDS


def _ended(asked: asyncio.Future[Any]) -> bool:
    """The task ended since the list was made."""
    return isinstance(asked.exception(), UnknownTask)
