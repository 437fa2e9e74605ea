"""`BudgetWorkflow`: the caps for all tasks together. One for the system; tasks draw from it by signal."""

import asyncio
from contextlib import suppress
from datetime import datetime, timedelta

from pydantic import Field
from temporalio import workflow
from temporalio.exceptions import FailureError

with workflow.unsafe.imports_passed_through():
    from activities import contract
    from apprentice.budget import caps_of
    from apprentice.messages import BudgetStatus, Draw, Freeze, Message, SetCaps, SpentQuery
    from apprentice.orders import with_caps
    from apprentice.settings import BudgetSettings
    from apprentice.treasury import Letter, Treasury
    from apprentice.treasury_state import TreasuryState
    from workflows import policies
    from workflows.ids import lifecycle_id
    from workflows.looking import View, show
    from workflows.refusals import check_budget


class BudgetStart(Message):
    """Input of a run; `state` is what the run before it left. `fresh`: what was spent is still to be learnt."""

    settings: BudgetSettings
    state: TreasuryState | None = None
    drawn: list[Draw] = Field(default_factory=list)
    fresh: bool = False


@workflow.defn
class BudgetWorkflow:
    @workflow.init
    def __init__(self, start: BudgetStart) -> None:
        self.treasury = Treasury(start.settings, start.state or TreasuryState())
        self.fresh = start.fresh or start.state is None
        self.drawn = list(start.drawn)
        self.letters: list[Letter] = []
        self.audits: dict[str, asyncio.Task[None]] = {}

    @workflow.run
    async def run(self, start: BudgetStart) -> None:
        workflow.set_current_details(details(self.status()))
        while not suggested() or self.audits:
            if self.fresh:
                await self._learn()
            await self._wait()
            while self.drawn:
                self.letters += self.treasury.draw(self.drawn.pop(0), workflow.now())
            await self._deliver()
            self._audit()
            workflow.set_current_details(details(self.status()))
        await workflow.wait_condition(workflow.all_handlers_finished)
        while self.letters:
            await self._deliver()
        workflow.continue_as_new(
            BudgetStart(settings=self.treasury.settings, state=self.treasury.state, drawn=self.drawn, fresh=self.fresh)
        )

    @workflow.signal
    def draw(self, draw: Draw | None = None) -> None:
        """A task keeps, gives back and asks."""
        if draw is not None:
            self.drawn.append(draw)

    @workflow.update
    async def configure(self, settings: BudgetSettings) -> BudgetStatus:
        """Go on under other caps."""
        self._configure(settings)
        return self.status()

    @configure.validator
    def _check(self, settings: BudgetSettings) -> None:
        check_budget(settings)

    @workflow.update
    async def operate(self, order: SetCaps | Freeze) -> BudgetStatus:
        """Raise, lower or freeze the caps while tasks run."""
        now = workflow.now()
        match order:
            case SetCaps():
                self._configure(with_caps(self.treasury.settings, order))
            case Freeze(frozen=frozen):
                self.letters += self.treasury.freeze(frozen, now)
        return self.status()

    @workflow.update
    async def look(self, view: View) -> None:
        """The caps and who holds what of them: see `looking`."""

    @look.validator
    def _show(self, view: View) -> None:
        show(view, self.status())

    @workflow.query
    def status(self) -> BudgetStatus:
        """The caps and who holds what of them."""
        return self.treasury.status(workflow.now())

    # --- carrying out ------------------------------------------------------------------------------------------

    def _adrift(self) -> list[str]:
        """Tasks that nobody has asked the store about yet."""
        return [task for task in self.treasury.state.adrift if task not in self.audits]

    def _since(self) -> datetime:
        calendar = self.treasury.calendar
        return calendar.begins(calendar.oldest(workflow.now()))

    def _configure(self, settings: BudgetSettings) -> None:
        """Where there was no cap, nobody drew: what was spent meanwhile only the store knows."""
        self.fresh = self.fresh or not any(caps_of(self.treasury.settings))
        self.letters += self.treasury.configure(settings, workflow.now())

    async def _learn(self) -> None:
        query = SpentQuery(timezone=self.treasury.settings.timezone, since=self._since())
        spent, self.fresh = await self._spent(query), False
        self.letters += self.treasury.found(spent, workflow.now())

    async def _wait(self) -> None:
        due = self.treasury.next_due(workflow.now())
        timeout = max(due - workflow.now(), timedelta(0)) if due else None
        with suppress(TimeoutError):
            await workflow.wait_condition(
                lambda: bool(self.drawn or self.letters or self.fresh or self._adrift()),
                timeout=timeout,
                timeout_summary="next by the clock",
            )
        if due is not None and workflow.now() >= due:
            self.letters += self.treasury.clock(workflow.now())

    async def _deliver(self) -> None:
        """All at once; a task that is not there any more is taken off the books."""
        letters, self.letters = self.letters, []
        await asyncio.gather(*(self._tell(letter) for letter in letters))

    async def _tell(self, letter: Letter) -> None:
        task, word = letter
        handle = workflow.get_external_workflow_handle(lifecycle_id(task))
        try:
            await handle.signal("granted" if word.type == "grant" else "recalled", word)
        except FailureError:
            workflow.logger.warning("task %s does not run any more; what it was granted is audited", task)
            self.treasury.gone(task)

    def _audit(self) -> None:
        for task in self._adrift():
            self.audits[task] = asyncio.create_task(self._ask_store(task))

    async def _ask_store(self, task: str) -> None:
        """How much a life of the task that is gone has really spent."""
        query = SpentQuery(timezone=self.treasury.settings.timezone, since=self._since(), task=task)
        spent = await self._spent(query)
        self.treasury.audited(task, spent.get(task, {}))
        del self.audits[task]

    async def _spent(self, query: SpentQuery) -> contract.Spent:
        return await workflow.execute_activity(
            contract.spent,
            query,
            start_to_close_timeout=policies.PERSIST_TIMEOUT,
            retry_policy=policies.PERSIST,
            summary=query.task or "all tasks",
        )


def suggested() -> bool:
    """Whether the history has become long enough."""
    return workflow.info().is_continue_as_new_suggested()


def details(status: BudgetStatus) -> str:
    """The caps in a few lines of Markdown, for the Web UI."""
    lines = ["### Budget of all tasks" + (": frozen" if status.frozen else "")]
    for cap in status.caps:
        lines.append(f"- {cap.period}: {cap.settled} spent, {cap.reserved} granted, of {cap.cap} {status.currency}")
    lines += [f"- {task}: {lease.settled} of {lease.limit} today" for task, lease in status.leases.items()]
    return "\n".join(lines)
