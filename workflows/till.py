"""Where requests wait for money, first come, first served; and where a task speaks with the budget for all tasks."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from temporalio import workflow
from temporalio.exceptions import FailureError

from apprentice.accounting import RoomAwaited
from apprentice.lifecycle import Lifecycle
from apprentice.messages import Draw, Grant, Recall, Route

# A budget that runs answers within a workflow task or two, or after the 5 s in which others give back what is unused.
ANSWER_WITHIN = timedelta(seconds=15)


@dataclass
class _Waiting:
    attempt: Callable[[], Route]
    amount: Decimal
    route: asyncio.Future[Route]


class Till:
    """One task's. Call `advance` whenever there may be room again."""

    def __init__(self, brain: Lifecycle) -> None:
        self._brain = brain
        self._line: deque[_Waiting] = deque()
        self._talk: asyncio.Task[None] | None = None

    async def fund(self, attempt: Callable[[], Route]) -> Route:
        """What `attempt` returns, now or when there is room. Raises `BudgetExhausted` as it does."""
        try:
            return attempt()
        except RoomAwaited as short:
            waiting = _Waiting(attempt, short.amount, asyncio.Future())
            self._line.append(waiting)
        finally:
            self.speak()
        return await waiting.route

    def advance(self) -> None:
        """Let in those at the head of the line for whom there is room, or no hope."""
        while self._line:
            first = self._line[0]
            try:
                first.route.set_result(first.attempt())
            except RoomAwaited as short:
                first.amount = short.amount  # a model's price may have changed since
                break
            except Exception as refusal:  # `BudgetExhausted`, or what must not fail the request that called us
                first.route.set_exception(refusal)
            self._line.popleft()
        self.speak()

    def granted(self, grant: Grant) -> None:
        """The budget has answered."""
        self._brain.accounts.purse.granted(grant, workflow.now())
        self.advance()

    def recalled(self, recall: Recall) -> None:
        """The budget wants back what is unused, or has news."""
        self._brain.accounts.purse.recall(recall, workflow.now())
        self.advance()

    def speak(self) -> None:
        """Say to the budget what there is to say, unless its answer to the last word is still to come."""
        purse, now = self._brain.accounts.purse, workflow.now()
        if self._brain.settings.shared_budget is None or purse.grants.waiting:
            return
        need = sum((waiting.amount for waiting in self._line), Decimal(0))
        if (need > purse.room(now) and not purse.dry(now)) or purse.speaks(now):
            self._begin(purse.draw(self._brain.settings.name, _life(), need, now))

    def resume(self) -> None:
        """After a rollover: the answer to the last word of the run before may still come."""
        if self._brain.accounts.purse.grants.waiting:
            self._talk = asyncio.create_task(self._wait(self._brain.accounts.purse.grants.number))

    async def quiet(self) -> None:
        """Until no word is on its way to the budget."""
        if self._talk is not None:
            await workflow.wait_condition(lambda: self._talk is None or self._talk.done())

    async def leave(self, budget: str) -> None:
        """Give back everything that was granted: the last word, so it must not overtake the one before it."""
        await self.quiet()
        purse = self._brain.accounts.purse
        draw = purse.draw(self._brain.settings.name, _life(), Decimal(0), workflow.now(), leaves=True)
        await self._send(draw, budget)
        purse.grants.waiting, purse.grants.leases = False, {}

    def _begin(self, draw: Draw) -> None:
        budget = self._brain.settings.shared_budget
        assert budget is not None
        self._talk = asyncio.create_task(self._converse(draw, budget))

    async def _converse(self, draw: Draw, budget: str) -> None:
        if await self._send(draw, budget):
            await self._wait(draw.number)

    async def _send(self, draw: Draw, budget: str) -> bool:
        try:
            await workflow.get_external_workflow_handle(budget).signal("draw", draw)
        except FailureError as error:
            workflow.logger.warning("the budget %s cannot be reached: %s", budget, error)
            self._unanswered()
            return False
        return True

    async def _wait(self, number: int) -> None:
        grants = self._brain.accounts.purse.grants
        try:
            await workflow.wait_condition(
                lambda: not grants.waiting or grants.number != number,
                timeout=ANSWER_WITHIN,
                timeout_summary="the budget's answer",
            )
        except TimeoutError:
            self._unanswered()

    def _unanswered(self) -> None:
        self._brain.accounts.purse.unanswered(workflow.now())
        self.advance()


def _life() -> str:
    """Tells a task that was started anew from the one before, and not one run from the next."""
    return workflow.info().first_execution_run_id
