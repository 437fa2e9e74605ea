"""The policy that ran beside another one: calls, cost, local share and agreement, each with its interval."""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean, median, stdev, variance
from typing import Any

from apprentice.messages import Phase
from apprentice.settings import TaskSettings
from apprentice.whatif.estimate import LEVEL, Estimate, Item, amount, share, student
from apprentice.whatif.log import Log, Logged
from apprentice.whatif.replay import Decision, Replay

PATHS = 8
"""Times that the other policy is replayed: its own coins differ, and so does the way it goes."""
LEAST = 5.0
"""Effective calls without which the cost of the others is the mean of all calls."""


@dataclass(frozen=True, slots=True)
class Figures:
    """An estimate with its interval (95%); None where the log cannot say."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Side:
    """One policy over the log. `cost` is in the task's currency.

    `remote_calls`, `local` and `failed` are means over the ways it may have gone. `agreement` is
    of everything served, `local_agreement` of what the local model served, both with the remote model, over the
    requests that the log can say it of; `unsupported` is the share of all requests of which it cannot.
    """

    requests: int
    remote_calls: Figures
    local: float
    failed: float
    cost: Figures
    agreement: Figures | None
    local_agreement: Figures | None
    unsupported: float
    compared: int

    @property
    def local_share(self) -> float:
        """Share of all requests that the local model serves, in [0, 1]."""
        return self.local / self.requests if self.requests else 0.0


@dataclass(frozen=True, slots=True)
class WhatIf:
    """Both policies; `drawn` is the share of the other's comparisons that the log lacks and that were drawn."""

    logged: Side
    other: Side
    all_remote: Figures
    drawn: float


def what_if(settings: TaskSettings, log: Log, input: dict[str, Any], seed: int = 0, paths: int = PATHS) -> WhatIf:
    """What `settings` would have cost and served over the requests of `log`; `input` is an example of the inputs.

    Raises ValueError for a log without requests.
    """
    if not log.requests:
        raise ValueError("a log without requests says nothing")
    log = replace(log, requests=with_chances(log.requests))
    replays = [Replay(settings, log, input, random.Random(f"{seed}/{path}")).run() for path in range(paths)]
    compared = sum(one.compared for one in replays)
    all_remote = _cost(log.requests, [Decision(True, 1.0, Phase.COACHING)] * len(log.requests))
    return WhatIf(
        logged=_logged(log.requests),
        other=_together([_side(log.requests, one.decisions) for one in replays], all_remote.high),
        all_remote=all_remote,
        drawn=sum(one.drawn for one in replays) / compared if compared else 0.0,
    )


def with_chances(requests: Sequence[Logged]) -> list[Logged]:
    """Requests of before chances were noted, with the one that was usual for their version.

    Only where that version was ever compared by a coin on answers less sure and on answers more sure than this one:
    of a range of confidence that was never looked at nothing is known.
    """
    usual: dict[int, tuple[float, float, float]] = {}
    for version in {one.version for one in requests if one.version is not None}:
        seen = [one for one in requests if one.version == version and one.score is not None and one.chance]
        coins = [one.chance for one in seen if one.chance is not None and one.chance < 1.0]
        sure = [one.confidence or 0.0 for one in seen]
        if coins:
            usual[version] = (median(coins), min(sure), max(sure))
    return [replace(one, chance=_usual(one, usual)) if one.chance is None else one for one in requests]


def _usual(one: Logged, usual: dict[int, tuple[float, float, float]]) -> float | None:
    chance, low, high = usual.get(one.version or 0, (0.0, 1.0, 0.0))
    return chance if low <= (one.confidence or 0.0) <= high else None


# --- one policy ------------------------------------------------------------------------------------------------


def _side(requests: Sequence[Logged], decisions: Sequence[Decision]) -> Side:
    pairs = list(zip(requests, decisions, strict=True))
    locals_ = [
        Item(own=float(not done.remote), stands=1.0 - done.chance, value=one.score, chance=one.chance)
        if not done.unknown
        else Item(own=float(not done.remote), stands=0.0, value=None, chance=None)
        for one, done in pairs
        if done.answered
    ]
    remote = float(sum(done.remote for done in decisions))
    cost = _cost(requests, decisions)
    failed = sum(not done.answered for done in decisions)
    return _summed(len(requests), remote, failed, cost, locals_)


def _logged(requests: Sequence[Logged]) -> Side:
    """What happened: only how well the local answers that nobody compared agree is not known."""
    # One that was compared in a batch, after it was served, is known, and stands for others too.
    locals_ = [
        Item(own=float(one.local), stands=float(one.version is not None), value=one.score, chance=one.chance)
        for one in requests
        if one.local or one.score is not None
    ]
    remote = sum(not one.local and not one.copied for one in requests)
    paid = math.fsum(float(one.cost) for one in requests if one.cost is not None)
    served = sum(not one.local for one in requests)
    side = _summed(len(requests), float(served), 0, Figures(paid, paid, paid), locals_)
    return replace(side, remote_calls=Figures(float(remote), float(remote), float(remote)))


def _summed(requests: int, remote: float, failed: int, cost: Figures, locals_: Sequence[Item]) -> Side:
    found = share(locals_)
    local = requests - failed - remote
    # What the remote model serves agrees with itself.
    whole = None
    if found.mean is not None or remote:
        weight = found.weight + remote
        parts = [(remote + found.weight * (part or 0.0)) / weight for part in (found.mean, found.low, found.high)]
        whole = Figures(*parts)
    return Side(
        requests=requests,
        remote_calls=Figures(remote, remote, remote),
        local=local,
        failed=float(failed),
        cost=cost,
        agreement=whole,
        local_agreement=_figures(found),
        unsupported=found.unsupported / requests,
        compared=found.seen,
    )


def _figures(found: Estimate) -> Figures | None:
    if found.mean is None or found.low is None or found.high is None:
        return None
    return Figures(found.mean, found.low, found.high)


def _cost(requests: Sequence[Logged], decisions: Sequence[Decision]) -> Figures:
    """What the remote calls cost; those that the log lacks cost as those do that stand for them."""
    items = [
        Item(
            own=float(done.remote),
            stands=done.chance,
            value=None if one.cost is None else float(one.cost),
            # A call that no coin chose is known for certain, and stands for no other.
            chance=(one.chance if one.version is not None else 1.0) if one.cost is not None else one.chance or 1.0,
        )
        for one, done in zip(requests, decisions, strict=True)
    ]
    found = amount(items)
    missing = math.fsum(item.own for item in items if item.value is None)
    if missing and (found.unsupported or found.effective < LEAST):
        return _usual_cost(items, missing)
    factors = (found.mean or 0.0, found.low or 0.0, found.high or 0.0)
    return Figures(*(found.weight * factor for factor in factors))


def _usual_cost(items: Sequence[Item], missing: float) -> Figures:
    """Too few of the like were paid for: what is missing costs what calls cost in the mean."""
    paid = [item.value for item in items if item.value]
    known = math.fsum(item.own * item.value for item in items if item.value is not None)
    if not paid:
        return Figures(known, known, math.inf)
    mean = fmean(paid)
    if len(paid) < 3:
        return Figures(known + missing * mean, known, math.inf)
    half = student(len(paid) - 1, LEVEL) * stdev(paid) * math.sqrt(1 / len(paid) + 1 / max(missing, 1.0))
    return Figures(known + missing * mean, known + missing * max(0.0, mean - half), known + missing * (mean + half))


# --- several paths ---------------------------------------------------------------------------------------------


def _together(sides: Sequence[Side], dearest: float) -> Side:
    """The mean of the paths; its interval is as wide as theirs, and as they are apart."""
    agreements = [side.agreement for side in sides if side.agreement]
    locals_ = [side.local_agreement for side in sides if side.local_agreement]
    return replace(
        sides[0],
        remote_calls=_pooled([side.remote_calls for side in sides], float(sides[0].requests)),
        local=fmean(side.local for side in sides),
        failed=fmean(side.failed for side in sides),
        cost=_pooled([side.cost for side in sides], dearest),
        agreement=_pooled(agreements, most=1.0) if agreements else None,
        local_agreement=_pooled(locals_, most=1.0) if locals_ else None,
        unsupported=fmean(side.unsupported for side in sides),
        compared=round(fmean(side.compared for side in sides)),
    )


def _pooled(found: Sequence[Figures], most: float) -> Figures:
    mean, count = fmean(one.mean for one in found), len(found)
    apart = variance([one.mean for one in found]) * (1 + 1 / count) if count > 1 else 0.0
    factor = student(count - 1, LEVEL) ** 2 if count > 1 else 0.0
    below, above = mean - fmean(one.low for one in found), fmean(one.high for one in found) - mean
    return Figures(
        mean,
        max(0.0, mean - math.sqrt(below**2 + factor * apart)),
        min(max(most, mean), mean + math.sqrt(above**2 + factor * apart)),
    )
