"""What continue-as-new carries over stays under 256 KiB, whatever ran before."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from apprentice.accounting import BudgetExhausted
from apprentice.lifecycle import Lifecycle
from apprentice.messages import (
    ApplySettings,
    Comparison,
    FineTuneOutcome,
    ForceRemote,
    Order,
    PauseCoaching,
    RequestOutcome,
    Resume,
    Retrain,
    Route,
    RouteReason,
    Split,
    TaskRequest,
    Trouble,
)
from apprentice.settings import BudgetSettings, ConfidenceThresholds, LocalSettings, SamplingSettings, TaskSettings
from apprentice.state import LifecycleState, clipped
from tests.apprentice.brain import T0, failed, local_answer, remote_answer, task_settings, validated

MOST = 256 * 1024
EVENTS = 60_000
IN_FLIGHT = 8  # what a stock server and one client have; the shell rolls over with none
LONG = ("a trainer's last words " * 300, "\x00\x1b\n" * 4000, "😀é" * 4000, '"\\' * 5000)


@dataclass
class Storm:
    """Throws everything at a brain that can happen to it, by coin."""

    seed: int
    now: datetime = T0
    open: list[tuple[TaskRequest, Route]] = field(default_factory=list)
    sent: int = 0

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        self.brain = Lifecycle(self.settings())

    def settings(self) -> TaskSettings:
        """A full window; other caps, thresholds and zones each time."""
        rng = self.rng
        caps = {period: rng.choice([None, Decimal("0.05"), Decimal(3)]) for period in ("daily", "weekly", "monthly")}
        settings = task_settings(
            budget=BudgetSettings(**caps, timezone=rng.choice(["UTC", "Asia/Tokyo", "America/New_York"])),
            local=LocalSettings(fine_tune_batch_size=rng.choice([50, 1000]), retrain_every=timedelta(days=2)),
            sampling=SamplingSettings(window_size=1000, min_floor=rng.choice([0.02, 0.5]), trend_sensitivity=0.01),
            thresholds=ConfidenceThresholds(phase2_to_phase3=rng.choice([0.75, 0.85])),
        )
        return settings.model_copy(update={"name": "n" * 63})

    def run(self, events: int) -> Iterator[LifecycleState]:
        for _ in range(events):
            self.now += timedelta(seconds=self.rng.choice([0, 1, 60, 3600]))
            kind = self.rng.random()
            if kind < 0.004:
                self.brain.operate(self._order(), self.now)
            elif kind < 0.02 and self.brain.state.training is not None:
                self.brain.observe(self._fine_tune(self.brain.state.training), self.now)
            elif kind < 0.03:
                self.brain.due(self.now)
            elif len(self.open) < self.rng.randint(1, IN_FLIGHT):
                self._admit()
            else:
                request, route = self.open.pop(self.rng.randrange(len(self.open)))
                self.brain.observe(self._outcome(request, route), self.now)
            yield self.brain.state

    def _admit(self) -> None:
        self.sent += 1
        request = TaskRequest(request_id=f"{self.sent:0200}", task=self.brain.settings.name, input={"text": "x"})
        try:
            self.open.append((request, self.brain.admit(request, self.rng.random(), self.now)))
        except BudgetExhausted:
            refused = RequestOutcome(request_id=request.request_id, route=None, error="BudgetExhausted")
            self.brain.observe(refused, self.now)

    def _outcome(self, request: TaskRequest, route: Route) -> RequestOutcome:
        rng = self.rng
        confidence = rng.random()
        local = local_answer(route.version, confidence) if route.local and rng.random() < 0.97 else None
        if not route.remote and (local is None or confidence < route.defer_below):
            reason = RouteReason.DEFERRED if local else RouteReason.LOCAL_FAILED
            route = self.brain.defer(request, route, reason, self.now)
        if rng.random() < 0.05 or (local is None and not route.remote):
            return RequestOutcome(
                request_id=request.request_id, route=route, error=rng.choice(LONG), lost=rng.choice([Decimal(0), COST])
            )
        agrees = 0.95 if self.now.month % 3 else 0.4  # in some months the model is good, in others it is not
        return RequestOutcome(
            request_id=request.request_id,
            route=route,
            remote=remote_answer(COST) if route.remote else None,
            local=local,
            score=self._score(agrees if confidence > 0.3 else 0.3) if route.remote and local else None,
            example=rng.choice([Split.TRAIN, Split.HOLDOUT, None]) if route.remote else None,
            replayed=rng.random() < 0.02,
            troubles=self._troubles() if rng.random() < 0.02 else [],
        )

    def _troubles(self) -> list[Trouble]:
        model, message = f"{self.rng.randrange(100):0200}", self.rng.choice(LONG)
        return [Trouble(provider="openai_compatible", model=model, error="InvalidRequest", message=message)]

    def _score(self, agrees: float) -> float:
        return 1 - self.rng.random() / 1000 if self.rng.random() < agrees else self.rng.random() / 3

    def _fine_tune(self, number: int) -> FineTuneOutcome:
        if self.rng.random() < 0.3:
            return failed(number, self.rng.choice(LONG))
        compared = [
            Comparison(score=self.rng.random() ** 0.05, confidence=self.rng.random(), version=number)
            for _ in range(1000)
        ]
        outcome = validated(number, compared, promoted=self.rng.random() < 0.7)
        return outcome.model_copy(update={"reason": self.rng.choice(LONG)})

    def _order(self) -> Order:
        orders: list[Order] = [
            *(ForceRemote(), ForceRemote(until=self.now + timedelta(hours=1)), Resume(), Resume(), Retrain()),
            *(PauseCoaching(), PauseCoaching(paused=False), PauseCoaching(paused=False)),
            ApplySettings(settings=self.settings()),
        ]
        return self.rng.choice(orders)


COST = Decimal("0.009876543")


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_the_state_stays_small_through_years_of_everything(seed: int) -> None:
    sizes, storm = [], Storm(seed)
    for number, state in enumerate(storm.run(EVENTS)):
        if number % 997 == 0:
            sizes.append(len(state.model_dump_json().encode()))
    state = storm.brain.state
    assert max(sizes) < MOST
    assert max(sizes) > MOST / 2, "the storm must have filled what can be filled"
    assert state.fine_tunes > 50
    assert state.alert_count > 100
    assert state.failed
    assert state.degraded
    assert len(state.ledger.reservations) <= len(storm.open), "no reservation outlives its request"
    assert LifecycleState.model_validate_json(state.model_dump_json()) == state


@pytest.mark.parametrize("text", LONG)
def test_a_long_text_keeps_its_beginning(text: str) -> None:
    assert clipped(text).endswith("…")
    assert text.startswith(clipped(text)[:-1])
    assert len(clipped(text)) >= 40


@pytest.mark.parametrize("text", ["", "short", "é" * 100])
def test_a_short_text_stays_as_it_is(text: str) -> None:
    assert clipped(text) == text
