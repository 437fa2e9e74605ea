"""What concerns several tasks together: their names, and the caps at the top level that they share."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import cast

from apprentice.caps import CapsExceedTotal, share_cap
from apprentice.config.drafts import Draft
from apprentice.config.errors import problem_at
from apprentice.config.yaml_source import Node, Problem
from apprentice.settings import BudgetSettings, TaskSettings

PERIODS = ("daily", "weekly", "monthly")


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


def with_caps(
    root: Node, drafts: list[Draft], total: BudgetSettings | None, source: str, problems: list[Problem]
) -> list[Draft]:
    """The tasks, each with its own caps or its share of the top-level ones."""
    if total is None or any(draft.settings is None for draft in drafts):
        return drafts
    capped = [period for period in PERIODS if getattr(total, period) is not None]
    for draft in drafts:
        if capped and draft.settings and draft.settings.budget.currency != total.currency:
            words = f"a cap for all tasks is in {total.currency}, so no task can count in another currency"
            problems.append(problem_at(source, draft.node, ("budget", "currency"), words))
    shares: list[dict[str, Decimal | None]] = [{} for _ in drafts]
    for period in capped:
        cap, own = getattr(total, period), [_own_cap(draft, period) for draft in drafts]
        try:
            shared = share_cap(cap, own)
        except CapsExceedTotal as error:
            problems.append(problem_at(source, root, ("budget", period), str(error)))
            continue
        if cap > 0 and any(share == 0 and mine is None for share, mine in zip(shared, own, strict=True)):
            words = "the caps of some tasks leave nothing of it for the others, which could never ask the remote model"
            problems.append(problem_at(source, root, ("budget", period), words))
        for share, value in zip(shares, shared, strict=True):
            share[period] = value
    return [replace(draft, settings=_capped(draft, share)) for draft, share in zip(drafts, shares, strict=True)]


def _own_cap(draft: Draft, period: str) -> Decimal | None:
    budget = draft.node.mapping.get("budget")
    if draft.settings is None or budget is None or period not in budget.mapping:
        return None
    return cast(Decimal | None, getattr(draft.settings.budget, period))


def _capped(draft: Draft, caps: dict[str, Decimal | None]) -> TaskSettings | None:
    if draft.settings is None:
        return None
    budget = draft.settings.budget.model_copy(update=caps)
    return draft.settings.model_copy(update={"budget": budget})
