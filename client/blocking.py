"""`BlockingApprentice`: the same client for code without an event loop."""

from contextlib import AbstractContextManager, ExitStack
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from anyio.from_thread import BlockingPortal, start_blocking_portal

from apprentice.messages import BudgetStatus, Freeze, HistoryPoint, Order, SetCaps, TaskResult, TaskStatus, Verdict
from apprentice.settings import BudgetSettings, TaskSettings, TemporalSettings
from client.apprentice import CONCURRENCY, Apprentice


class BlockingApprentice(AbstractContextManager["BlockingApprentice"]):
    """Runs an `Apprentice` on an event loop in a thread of its own; safe to share between threads.

    with BlockingApprentice() as apprentice:
        apprentice.run("classify_ticket", {"text": "I was charged twice"}).output
    """

    def __init__(
        self,
        address: str | None = None,
        *,
        config: str | Path | TemporalSettings | None = None,
        task_queue: str | None = None,
        concurrency: int = CONCURRENCY,
    ) -> None:
        """See `Apprentice.connect`."""
        self._connect = partial(
            Apprentice.connect, address, config=config, task_queue=task_queue, concurrency=concurrency
        )
        self._exit = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as opening:
            self._portal: BlockingPortal = opening.enter_context(start_blocking_portal())
            self._apprentice = opening.enter_context(self._portal.wrap_async_context_manager(self._connect()))
            self._exit = opening.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._exit.close()

    def run(
        self,
        task: str,
        input: dict[str, Any],
        *,
        request_id: str | None = None,
        deadline: float | None = None,
        attempt: int = 0,
    ) -> TaskResult:
        """See `Apprentice.run`."""
        call = partial(self._apprentice.run, task, input, request_id=request_id, deadline=deadline, attempt=attempt)
        return self._portal.call(call)

    def status(self, task: str) -> TaskStatus:
        """See `Apprentice.status`."""
        return self._portal.call(self._apprentice.status, task)

    def history(self, task: str) -> list[HistoryPoint]:
        """See `Apprentice.history`."""
        return self._portal.call(self._apprentice.history, task)

    def operate(self, task: str, order: Order) -> TaskStatus:
        """See `Apprentice.operate`."""
        return self._portal.call(self._apprentice.operate, task, order)

    def apply(self, settings: TaskSettings, new_version: bool = False) -> bool:
        """See `Apprentice.apply`."""
        return self._portal.call(self._apprentice.apply, settings, new_version)

    def retire(self, task: str) -> TaskStatus:
        """See `Apprentice.retire`."""
        return self._portal.call(self._apprentice.retire, task)

    def feedback(
        self, task: str, request_id: str, *, output: dict[str, Any] | None = None, right: bool | None = None
    ) -> Verdict:
        """See `Apprentice.feedback`."""
        return self._portal.call(partial(self._apprentice.feedback, task, request_id, output=output, right=right))

    def apply_budget(self, settings: BudgetSettings) -> bool:
        """See `Apprentice.apply_budget`."""
        return self._portal.call(self._apprentice.apply_budget, settings)

    def budget(self) -> BudgetStatus:
        """See `Apprentice.budget`."""
        return self._portal.call(self._apprentice.budget)

    def operate_budget(self, order: SetCaps | Freeze) -> BudgetStatus:
        """See `Apprentice.operate_budget`."""
        return self._portal.call(self._apprentice.operate_budget, order)
