"""What concerns several tasks together: their names, and the budget that they share."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from apprentice.budget import caps_of
from apprentice.config.drafts import Draft
from apprentice.config.errors import problem_at
from apprentice.config.yaml_source import Node, Problem
from apprentice.settings import SHARED_BUDGET, BudgetSettings


def distinct_names(root: Node, drafts: list[Draft], source: str) -> Iterator[Problem]:
    if isinstance(root.value, dict) and not drafts:
        words = "expected a list of at least one task"
        yield problem_at(source, root, ("tasks",), words)
    names = Counter(draft.settings.name for draft in drafts if draft.settings and "name" in draft.node.mapping)
    seen: set[str] = set()
    for draft in drafts:
        name = draft.settings.name if draft.settings else ""
        if names[name] > 1 and name in seen:
            yield problem_at(source, draft.node, ("name",), f"there is already a task {name!r}")
        seen.add(name)


def one_currency(drafts: list[Draft], total: BudgetSettings | None, source: str) -> Iterator[Problem]:
    """A cap for all tasks can only be held where all of them count in its currency."""
    if total is None or not any(caps_of(total)):
        return
    for draft in drafts:
        if draft.settings and draft.settings.budget.currency != total.currency:
            words = f"a cap for all tasks is in {total.currency}, so no task can count in another currency"
            yield problem_at(source, draft.node, ("budget", "currency"), words)


def drawing(drafts: list[Draft], total: BudgetSettings | None) -> list[Draft]:
    """The tasks, each told whether it draws from a budget for all tasks: where the file has a cap for them."""
    shared = SHARED_BUDGET if total is not None and any(caps_of(total)) else None
    return [
        replace(draft, settings=draft.settings and draft.settings.model_copy(update={"shared_budget": shared}))
        for draft in drafts
    ]
