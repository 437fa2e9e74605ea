"""A task's own keys over the top-level ones, with the places of both kept."""

from dataclasses import replace
from typing import get_args

from apprentice.calendar import PERIODS
from apprentice.config.yaml_source import Node
from apprentice.settings import ProviderSettings

SECTIONS = ("remote", "local", "quality", "sampling", "budget", "cache", "alerts")
PROVIDERS = get_args(ProviderSettings.model_fields["provider"].annotation)


def merge_task(task: Node, top: Node) -> Node:
    """The task's node with every section completed from the top level of the file."""
    if not isinstance(task.value, dict):
        return task
    for section in SECTIONS:
        base, own = top.mapping.get(section), task.mapping.get(section)
        if base is None or (own is not None and not isinstance(own.value, dict)):
            continue
        if section == "budget":
            base = _without_caps(base)
        merged = base if own is None else _merge_remote(base, own) if section == "remote" else merge(base, own)
        fields = {**task.mapping, section: merged}
        task = replace(task, value=fields, key_lines={section: merged.line, **task.key_lines})
    return task


def merge(base: Node, over: Node) -> Node:
    """`over` over `base`, key by key through all levels. Anything that is no mapping is replaced as a whole."""
    if not isinstance(base.value, dict) or not isinstance(over.value, dict):
        return over
    merged = dict(base.mapping)
    for key, node in over.mapping.items():
        merged[key] = merge(merged[key], node) if key in merged else node
    return Node(merged, over.line, over.key, {**base.key_lines, **over.key_lines})


def _merge_remote(base: Node, own: Node) -> Node:
    """Another provider takes nothing over from the top level; another model leaves the first one's price behind."""
    # A misspelt provider is no other provider: saying that everything else is missing would only hide the typo.
    if _differs(base, own, "provider") and own.mapping["provider"].value in PROVIDERS:
        return own
    if _differs(base, own, "model") and "price" in base.mapping:
        base = replace(base, value={key: node for key, node in base.mapping.items() if key != "price"})
    return merge(base, own)


def _without_caps(budget: Node) -> Node:
    """Caps at the top level are for all tasks together, not for each."""
    return replace(budget, value={key: node for key, node in budget.mapping.items() if key not in PERIODS})


def _differs(base: Node, own: Node, key: str) -> bool:
    if key not in own.mapping:
        return False
    return key not in base.mapping or base.mapping[key].plain() != own.mapping[key].plain()
