"""A task's brain with a scripted world around it: what the tests of the core drive."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from apprentice.lifecycle import Lifecycle
from apprentice.messages import (
    Action,
    Alert,
    Answer,
    Comparison,
    FineTuneOutcome,
    Phase,
    Promise,
    RaiseAlert,
    RequestOutcome,
    Route,
    RouteReason,
    Source,
    Split,
    StartFineTune,
    TaskRequest,
    Validation,
)
from apprentice.release import TODAY, Release
from apprentice.settings import (
    BudgetSettings,
    ConfidenceThresholds,
    LocalSettings,
    Price,
    QualitySettings,
    RemoteSettings,
    SamplingSettings,
    TaskSettings,
)
from apprentice.state import LifecycleState

T0 = datetime(2026, 3, 2, 12, tzinfo=UTC)  # a Monday
PRICE = Decimal("0.01")
NEVER = LocalSettings(fine_tune_batch_size=10**7)  # no fine-tune for the number of examples alone


def task_settings(
    *,
    budget: BudgetSettings | None = None,
    local: LocalSettings | None = None,
    sampling: SamplingSettings | None = None,
    thresholds: ConfidenceThresholds | None = None,
    quality: QualitySettings | None = None,
) -> TaskSettings:
    """Each remote call costs, and reserves, exactly `PRICE`."""
    return TaskSettings(
        name="classify",
        input_schema={"text": "str"},
        output_schema={"category": "str"},
        remote=RemoteSettings(provider="simulated", model="teacher", price=Price(per_request=PRICE)),
        budget=budget or BudgetSettings(),
        local=local or LocalSettings(),
        sampling=sampling or SamplingSettings(),
        confidence_thresholds=thresholds or ConfidenceThresholds(),
        quality=quality or QualitySettings(),
    )


def request(number: int) -> TaskRequest:
    return TaskRequest(request_id=f"r{number}", task="classify", input={"text": "x"})


def remote_answer(cost: Decimal = PRICE) -> Answer:
    return Answer(source=Source.REMOTE, output={"category": "a"}, model="teacher", cost=cost)


def local_answer(version: int | None, confidence: float | None = None) -> Answer:
    return Answer(
        source=Source.LOCAL, output={"category": "a"}, model="student", version=version, confidence=confidence
    )


def comparisons(*scores: float, version: int = 1, confidence: float | None = None) -> list[Comparison]:
    return [Comparison(score=score, confidence=confidence, version=version) for score in scores]


def validated(number: int, compared: list[Comparison], *, promoted: bool = True) -> FineTuneOutcome:
    """A fine-tune that ended with these hold-out comparisons."""
    mean = sum(c.score for c in compared) / len(compared) if compared else None
    validation = Validation(holdout=len(compared), mean=mean, low=mean, high=mean, comparisons=compared)
    return FineTuneOutcome(
        number=number, promoted=promoted, reason="judged", train=80, holdout=len(compared), validation=validation
    )


def failed(number: int, reason: str = "no memory") -> FineTuneOutcome:
    return FineTuneOutcome(number=number, promoted=False, reason=reason)


@dataclass
class World:
    """Sends requests through a brain and answers for both models.

    `confidence(rng)` draws the local model's confidence; `agrees(confidence)` is the probability that it is right.
    `inputs` is how many different ones come, by chance; None: each is new. Every fifth is held out.
    """

    brain: Lifecycle
    agrees: Callable[[float | None], float] = lambda confidence: 1.0
    confidence: Callable[[random.Random], float | None] = lambda rng: 1.0
    rng: random.Random = field(default_factory=lambda: random.Random(0))
    now: datetime = T0
    between: timedelta = timedelta(seconds=1)
    inputs: int | None = None
    known: set[int] = field(default_factory=set)
    sent: int = 0
    alerts: list[Alert] = field(default_factory=list)
    started: list[StartFineTune] = field(default_factory=list)
    routes: list[Route] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)

    def send(self, times: int = 1) -> None:
        for _ in range(times):
            self._one()

    def act(self, actions: list[Action]) -> None:
        self.alerts += [action.alert for action in actions if isinstance(action, RaiseAlert)]
        self.started += [action for action in actions if isinstance(action, StartFineTune)]

    def end_fine_tune(self, compared: list[Comparison], *, promoted: bool = True) -> None:
        number = self.brain.state.training
        assert number is not None
        self.act(self.brain.observe(validated(number, compared, promoted=promoted), self.now))

    def _one(self) -> None:
        self.sent += 1
        self.now += self.between
        asked, brain = request(self.sent), self.brain
        route = brain.admit(asked, self.rng.random(), self.now)
        confidence = self.confidence(self.rng)
        score = float(self.rng.random() < self.agrees(confidence))
        local = local_answer(route.version, confidence) if route.local else None
        if local and not route.remote and (confidence or 0.0) < route.defer_below:
            route = brain.defer(asked, route, RouteReason.DEFERRED, self.now)
        self.routes.append(route)
        self.scores.append(score)
        outcome = RequestOutcome(
            request_id=asked.request_id,
            route=route,
            remote=remote_answer() if route.remote else None,
            local=local,
            score=score if route.remote and local else None,
            example=self._example() if route.remote else None,
        )
        self.act(brain.observe(outcome, self.now))

    def _example(self) -> Split | None:
        which = self.sent if self.inputs is None else self.rng.randrange(self.inputs)
        if which in self.known:
            return None
        self.known.add(which)
        return Split.HOLDOUT if which % 5 == 0 else Split.TRAIN

    def served_agreement(self) -> float:
        """Share of the locally served answers that were right."""
        served = [score for route, score in zip(self.routes, self.scores, strict=True) if not route.remote]
        return sum(served) / len(served)


def promised(brain: Lifecycle, now: datetime = T0) -> Promise:
    """What status says of the promise on quality."""
    promise = brain.status(now).promise
    assert promise is not None
    return promise


def coached(settings: TaskSettings | None = None, *, release: Release = TODAY, **state: object) -> Lifecycle:
    """A brain in phase 2: version 1 shadows the remote model, nothing is compared yet."""
    start: dict[str, object] = {
        "phase": Phase.COACHING,
        "version": 1,
        "examples": 1000,
        "fine_tunes": 1,
        "trained_examples": 1000,
        "trained_at": T0,
    }
    held = LifecycleState.model_validate(start | state)
    return Lifecycle(settings or task_settings(local=NEVER), held, release=release)


def autonomous(
    compared: list[Comparison], settings: TaskSettings | None = None, *, release: Release = TODAY
) -> Lifecycle:
    """A brain in phase 3 whose version 1 was just promoted with these hold-out comparisons."""
    brain = coached(settings, release=release, version=None, training=1)
    brain.state.phase = Phase.AUTONOMOUS
    brain.observe(validated(1, compared), T0)
    return brain


def check(brain: Lifecycle, number: int, coin: float, score: float, confidence: float) -> Route:
    """One request, deferred if it has to be, with its comparison if there is one."""
    route = brain.admit(request(number), coin, T0)
    if not route.remote and confidence < route.defer_below:
        route = brain.defer(request(number), route, RouteReason.DEFERRED, T0)
    outcome = RequestOutcome(
        request_id=f"r{number}",
        route=route,
        remote=remote_answer() if route.remote else None,
        local=local_answer(1, confidence),
        score=score if route.remote else None,
    )
    assert brain.observe(outcome, T0) == []
    return route
