"""A world whose truth is known: a task that lives by one policy, and a log of it as the store would keep one."""

import random
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from apprentice.lifecycle import Lifecycle
from apprentice.messages import (
    Answer,
    Comparison,
    FineTuneOutcome,
    RequestOutcome,
    RouteReason,
    Source,
    Split,
    StartFineTune,
    TaskRequest,
    Validation,
)
from apprentice.settings import TaskSettings
from apprentice.whatif import Log, Logged

START = datetime(2026, 1, 1, tzinfo=UTC)
INPUT = {"text": "a ticket of the usual length"}
HOLDOUT = 20


def settings(**changed: Any) -> TaskSettings:
    """Of a task that trains once; `changed` are blocks."""
    values: dict[str, Any] = {
        "name": "tickets",
        "input_schema": {"text": "str"},
        "output_schema": {"category": "str"},
        "remote": {"provider": "simulated", "model": "m", "price": {"per_request": "1"}},
        "local": {"fine_tune_batch_size": 100_000},
        "confidence_thresholds": {"phase2_to_phase3": 0.8, "coaching_trigger": 0.6, "emergency_threshold": 0.5},
    }
    return TaskSettings.model_validate(values | changed)


@dataclass(frozen=True)
class Fact:
    """What would happen to one request, whoever answered it."""

    confidence: float
    score: float
    cost: Decimal


@dataclass(frozen=True)
class World:
    """What comes, and the hold-out part that the version is judged on."""

    facts: list[Fact]
    holdout: list[Fact]

    @classmethod
    def of(cls, count: int, seed: int, **kind: float) -> "World":
        rng = random.Random(seed)
        return cls(facts(count, rng, **kind), facts(HOLDOUT, rng, **kind))


def facts(count: int, rng: random.Random, *, good: float = 0.95) -> list[Fact]:
    """Answers whose confidence is right: most are sure, some are not. Dearer ones are harder."""
    found = []
    for _ in range(count):
        confidence = good if rng.random() < 0.8 else rng.uniform(0.4, good)
        score = float(rng.random() < confidence)
        cost = Decimal(str(round(0.01 * (2 - confidence) * rng.uniform(0.5, 1.5), 6)))
        found.append(Fact(confidence, score, cost))
    return found


def live(policy: TaskSettings, world: World, rng: random.Random) -> Log:
    """The log of a life under this policy, and only what such a life gets to see."""
    brain, requests = Lifecycle(policy), list[Logged]()
    for number, fact in enumerate(world.facts):
        now = START + timedelta(seconds=number)
        request = TaskRequest(request_id=str(number), task=policy.name, input=INPUT)
        route = brain.admit(request, rng.random(), now)
        local = None
        if route.local:
            local = Answer(source=Source.LOCAL, output={}, model="l", version=route.version, confidence=fact.confidence)
            if not route.remote and fact.confidence < route.defer_below:
                route = brain.defer(request, route, RouteReason.DEFERRED, now)
        remote = Answer(source=Source.REMOTE, output={}, model="m", cost=fact.cost) if route.remote else None
        outcome = RequestOutcome(
            request_id=request.request_id,
            route=route,
            remote=remote,
            local=local,
            score=fact.score if remote and local else None,
            example=(Split.HOLDOUT if number % 5 == 0 else Split.TRAIN) if remote else None,
        )
        for action in brain.observe(outcome, now):
            if isinstance(action, StartFineTune):
                _trained(brain, action.request.number, world.holdout, now)
        requests.append(
            Logged(
                at=now,
                local=remote is None,
                chance=route.chance_of_comparison(fact.confidence) if local else 1.0,
                score=outcome.score,
                confidence=fact.confidence if local else None,
                version=route.version if local else None,
                cost=remote.cost if remote else None,
                example=remote is not None,
            )
        )
    return Log(requests, holdouts={1: (HOLDOUT, sum(one.score for one in world.holdout) / HOLDOUT)})


def _trained(brain: Lifecycle, number: int, holdout: list[Fact], now: datetime) -> None:
    compared = [Comparison(score=one.score, confidence=one.confidence, version=number) for one in holdout]
    mean = sum(one.score for one in compared) / len(compared)
    validation = Validation(holdout=len(compared), mean=mean, low=None, high=None, comparisons=compared)
    brain.observe(FineTuneOutcome(number=number, promoted=True, reason="good", validation=validation), now)


@dataclass(frozen=True)
class Truth:
    """What a policy costs and how well it serves, known because everything is."""

    cost: float
    agreement: float
    local_agreement: float
    local: int


def truth(policy: TaskSettings, world: World, rng: random.Random) -> Truth:
    """Of one life in this world."""
    lived = live(policy, world, rng).requests
    served = [fact.score for one, fact in zip(lived, world.facts, strict=True) if one.local]
    cost = float(sum((one.cost for one in lived if one.cost is not None), Decimal(0)))
    right = len(lived) - len(served) + sum(served)
    return Truth(cost, right / len(lived), sum(served) / len(served) if served else 1.0, len(served))


def forgetting(log: Log) -> Log:
    """The log of a store that did not note chances yet."""
    return replace(log, requests=[replace(one, chance=None) if one.local else one for one in log.requests])
