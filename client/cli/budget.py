"""`apprentice budget`: the caps for all tasks and who holds what of them; raising, lowering and freezing them."""

import asyncio
from typing import Annotated

import typer

from apprentice.messages import BudgetStatus, Freeze, SetCaps, TaskStatus
from client.cli import options
from client.cli.amounts import parse_cap
from client.cli.budget_view import as_json, detail, of_task
from client.cli.connecting import answered, connected
from client.cli.output import Failed, note, print_json, show
from client.cli.status import as_json as task_as_json

TaskOrShared = Annotated[
    str | None, typer.Argument(metavar="[TASK]", help="That task's own caps. Default: those for all tasks.")
]
AMOUNT = "An amount, or none."

budget = typer.Typer(name="budget", add_completion=False, invoke_without_command=True)


@budget.callback()
def overview(ctx: typer.Context, json: options.Json = False, address: options.Address = None) -> None:
    """The caps for all tasks: what is spent, what is granted to whom, what is free. See also `apprentice status`."""
    if ctx.invoked_subcommand is None:
        _report(asyncio.run(_look(address)), json)
    else:
        ctx.default_map = {ctx.invoked_subcommand: {"json": json, "address": address}}


@budget.command("set")
def set_caps(
    task: TaskOrShared = None,
    daily: Annotated[str | None, typer.Option(metavar="AMOUNT", help=AMOUNT)] = None,
    weekly: Annotated[str | None, typer.Option(metavar="AMOUNT", help=AMOUNT)] = None,
    monthly: Annotated[str | None, typer.Option(metavar="AMOUNT", help=AMOUNT)] = None,
    json: options.Json = False,
    address: options.Address = None,
) -> None:
    """Raise, lower or lift caps while tasks run. Those that are not named stay; the next `apply` sets the file's."""
    given = {"daily": daily, "weekly": weekly, "monthly": monthly}
    caps = {}
    for name, text in given.items():
        if text is not None:
            try:
                caps[name] = parse_cap(text)
            except ValueError as error:
                raise Failed(f"--{name}: {error}") from None
    if not caps:
        raise Failed("which cap? give --daily, --weekly or --monthly, each an amount or none")
    _report(asyncio.run(_give(task, SetCaps(**caps), address)), json)
    note("this holds until the next `apprentice apply`, which sets what the file says")


@budget.command()
def freeze(task: TaskOrShared = None, json: options.Json = False, address: options.Address = None) -> None:
    """Make no paid call from now on; what is in flight is finished. Stays through `apply`, until `unfreeze`."""
    _report(asyncio.run(_give(task, Freeze(), address)), json)
    note(f"`apprentice budget unfreeze{f' {task}' if task else ''}` ends it; `apprentice apply` does not")


@budget.command()
def unfreeze(task: TaskOrShared = None, json: options.Json = False, address: options.Address = None) -> None:
    """End a freeze."""
    _report(asyncio.run(_give(task, Freeze(frozen=False), address)), json)


async def _look(address: str | None) -> BudgetStatus:
    async with connected(address) as apprentice:
        return await answered(apprentice.budget())


async def _give(task: str | None, order: SetCaps | Freeze, address: str | None) -> BudgetStatus | TaskStatus:
    async with connected(address, task) as apprentice:
        if task is None:
            return await answered(apprentice.operate_budget(order))
        return await answered(apprentice.operate(task, order))


def _report(status: BudgetStatus | TaskStatus, json: bool) -> None:
    if isinstance(status, BudgetStatus):
        print_json(as_json(status)) if json else show(detail(status))
    else:
        print_json(task_as_json(status)) if json else show(of_task(status))
