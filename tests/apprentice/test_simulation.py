"""The simulation decides as the service does, peeks at nothing, and never passes an allowance."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apprentice.datasets import split
from apprentice.duplicates import fingerprint
from apprentice.evaluators import build
from apprentice.messages import Phase, Source, Split
from apprentice.settings import (
    AllowanceSettings,
    BudgetSettings,
    ConfidenceThresholds,
    LocalSettings,
    Price,
    RemoteSettings,
    TaskSettings,
)
from apprentice.simulation import Recorded, SimulatedRequest, Simulation

START = datetime(2026, 1, 1, tzinfo=UTC)
KINDS = 12
PRICE = Price(per_request=Decimal("0.01"))


@dataclass(frozen=True)
class Guess:
    output: dict[str, Any]
    confidence: float


class Memory:
    """Knows the kinds it has seen, and is sure of them; of all others it says `unknown`, and is not."""

    rehearsal: Sequence[tuple[int, float, float]] = ()

    def __init__(self, inputs: list[dict[str, Any]], outputs: list[dict[str, Any]]) -> None:
        self.labels = {input["kind"]: output["label"] for input, output in zip(inputs, outputs, strict=True)}
        self.inputs = [fingerprint(input) for input in inputs]

    def predict_many(self, inputs: list[dict[str, Any]]) -> list[Guess]:
        return [
            Guess({"label": self.labels.get(i["kind"], "unknown")}, 0.99 if i["kind"] in self.labels else 0.1)
            for i in inputs
        ]


def task(**more: Any) -> TaskSettings:
    thresholds = ConfidenceThresholds(phase1_to_phase2=50)
    remote = RemoteSettings(provider="recorded", model="teacher", price=PRICE)
    given = {"confidence_thresholds": thresholds, "remote": remote} | more
    return TaskSettings(name="sort", input_schema={"kind": "int", "n": "int"}, output_schema={"label": "str"}, **given)


def traffic(count: int, seed: int = 0) -> list[Recorded]:
    coins = random.Random(seed)
    kinds = [coins.randrange(KINDS) for _ in range(count)]
    return [Recorded(f"r{n}", {"kind": kind, "n": n}, {"label": f"k{kind}"}) for n, kind in enumerate(kinds)]


class Run:
    """A simulation with its rows, and the models that it trained."""

    def __init__(self, rows: list[Recorded], settings: TaskSettings | None = None, **options: Any) -> None:
        self.trained: list[Memory] = []
        used = settings or task()
        coins = random.Random(options.pop("seed", 0))
        self.simulation = Simulation(used, self.train, build(used), coins, START, **options)
        self.served = list(self.simulation.run(rows))
        self.forecast = self.simulation.forecast()

    def train(self, inputs: list[dict[str, Any]], outputs: list[dict[str, Any]], version: int) -> Memory:
        self.trained.append(Memory(inputs, outputs))
        return self.trained[-1]

    @property
    def remote(self) -> list[SimulatedRequest]:
        return [row for row in self.served if row.served_by is Source.REMOTE]


def test_a_learnable_task_goes_through_the_phases_and_its_cost_falls() -> None:
    forecast = Run(traffic(2000)).forecast
    assert forecast.phase is Phase.AUTONOMOUS
    assert forecast.sampling_rate < 0.2
    assert forecast.local_share > 0.7
    assert forecast.agreement is not None
    assert forecast.agreement > 0.98
    assert forecast.all_remote == 2000 * Decimal("0.01")
    assert forecast.spend == forecast.remote_calls * Decimal("0.01")


def test_every_request_has_its_row_in_order_and_the_sums_are_those_of_the_rows() -> None:
    rows = traffic(700)
    run = Run(rows)
    assert [row.request_id for row in run.served] == [row.request_id for row in rows]
    assert run.forecast.remote_calls == len(run.remote)
    assert run.forecast.local == sum(row.served_by is Source.LOCAL for row in run.served)
    assert run.forecast.spend == sum(row.cost for row in run.served)
    right = [one.output == row.output for one, row in zip(run.served, rows, strict=True)]
    assert run.forecast.agreement == pytest.approx(sum(right) / len(right))


def test_the_same_seed_gives_the_same_rows() -> None:
    assert Run(traffic(600), seed=3).served == Run(traffic(600), seed=3).served


def test_no_model_knows_an_example_before_it_was_asked_or_ever_a_hold_out_one() -> None:
    # Nothing but collecting, so that there are many fine-tunes.
    rows, used = traffic(600), task(confidence_thresholds=ConfidenceThresholds(phase2_to_phase3=0.9999))
    hashes = {fingerprint(row.input): n for n, row in enumerate(rows)}
    trained: list[tuple[int, Memory]] = []
    position = 0

    def train(inputs: list[dict[str, Any]], outputs: list[dict[str, Any]], version: int) -> Memory:
        trained.append((position, Memory(inputs, outputs)))
        return trained[-1][1]

    simulation = Simulation(used, train, build(used), random.Random(0), START)
    served: Iterator[SimulatedRequest] = simulation.run(rows)
    for _ in served:
        position += 1
    assert len(trained) > 2
    for at, model in trained:
        assert all(hashes[seen] <= at for seen in model.inputs)
        assert all(split(s, used.holdout_salt, used.local.holdout_fraction) is Split.TRAIN for s in model.inputs)


def test_a_repeated_input_is_one_example() -> None:
    rows = [Recorded(f"r{n}", {"kind": n % 5, "n": 0}, {"label": f"k{n % 5}"}) for n in range(300)]
    run = Run(rows)
    assert len(run.trained) == 1
    assert run.simulation.brain.state.examples == 5


@pytest.mark.parametrize("inputs", [5, 20, 45])
def test_a_task_that_is_asked_the_same_few_things_for_ever_stops_paying_for_them(inputs: int) -> None:
    """Though nothing can be learnt of one from the others, so that the hold-out speaks against every version."""
    coins = random.Random(1)
    kinds = [coins.randrange(inputs) for _ in range(4000)]
    run = Run([Recorded(f"r{n}", {"kind": kind, "n": 0}, {"label": f"k{kind}"}) for n, kind in enumerate(kinds)])
    taught = len(run.trained[-1].labels) / inputs
    late = [row.served_by is Source.LOCAL for row in run.served[-1000:]]
    assert run.forecast.phase is Phase.AUTONOMOUS
    assert sum(late) / len(late) > 0.8 * taught
    assert run.forecast.local_agreement == 1.0
    assert taught > 0.7


def test_a_fine_tune_serves_only_after_its_delay() -> None:
    at_once, late = Run(traffic(400)), Run(traffic(400), training_requests=100)

    def first(run: Run) -> int:
        phases = [n for n, point in enumerate(run.simulation.brain.state.history) if point.phase > 1]
        return phases[0]

    assert first(late) > first(at_once)


@given(calls=st.integers(0, 400), seed=st.integers(0, 9), delay=st.sampled_from([0, 37]))
@settings(max_examples=25, deadline=None)
def test_remote_calls_never_pass_the_allowance(calls: int, seed: int, delay: int) -> None:
    run = Run(traffic(500, seed), max_remote_calls=calls, training_requests=delay)
    assert len(run.remote) <= calls
    assert run.forecast.remote_calls == len(run.remote)
    assert run.forecast.requests == 500


@pytest.mark.parametrize("calls", [10, 49, 60, 250])
def test_when_the_allowance_is_spent_the_local_model_learns_from_all_of_it_and_serves_the_rest(calls: int) -> None:
    run, used = Run(traffic(500), max_remote_calls=calls), task()
    assert run.forecast.failed == 0
    first, remote = min(calls, 50), [row.served_by is Source.REMOTE for row in run.served]
    assert all(remote[:first])
    assert sum(remote) == calls
    hashes = [fingerprint(row.input) for row, asked in zip(traffic(500), remote, strict=True) if asked]
    trained = [one for one in hashes if split(one, used.holdout_salt, used.local.holdout_fraction) is Split.TRAIN]
    unlearnt = len(trained) - len(run.trained[-1].inputs)
    assert run.trained[-1].inputs == trained[: len(trained) - unlearnt]
    assert unlearnt <= 0.05 * len(trained)


def test_what_a_version_answers_without_proof_is_degraded() -> None:
    run = Run(traffic(500), max_remote_calls=10)
    assert all(row.degraded for row in run.served[10:])


def test_an_allowance_for_more_than_there_is_buys_everything() -> None:
    run = Run(traffic(200), max_remote_calls=1000)
    assert len(run.remote) == 200


def test_an_allowance_of_the_settings_begins_anew_each_day() -> None:
    used = task(allowance=AllowanceSettings(remote_calls=60))
    run = Run(traffic(300), used, seconds_between_requests=864.0)
    days = [run.served[day : day + 100] for day in (0, 100, 200)]
    bought = [sum(row.served_by is Source.REMOTE for row in day) for day in days]
    assert max(bought) <= 60
    assert min(bought) >= 50
    assert run.forecast.failed == 0


def test_an_allowance_too_small_to_learn_from_ends_in_errors_by_name() -> None:
    run = Run(traffic(20), max_remote_calls=1)
    assert [row.error for row in run.served] == [None] + ["BudgetExhausted"] * 19
    assert run.forecast.failed == 19
    assert run.forecast.agreement == 1.0


def test_a_cap_holds_as_in_service_and_opens_again_the_next_day() -> None:
    # The reservation of a call is its price here, so a cap of 0.30 is thirty calls a day.
    used = task(budget=BudgetSettings(daily=Decimal("0.30"), coaching_share=1))
    run = Run(traffic(200), used, seconds_between_requests=864.0)
    days = [run.served[day : day + 100] for day in (0, 100)]
    assert [sum(row.served_by is Source.REMOTE for row in day) for day in days] == [30, 30]
    assert days[0][30].error == "BudgetExhausted"


def test_training_that_fails_is_an_alert_and_not_the_end() -> None:
    used = task(local=LocalSettings(fine_tune_batch_size=50))

    def train(inputs: list[dict[str, Any]], outputs: list[dict[str, Any]], version: int) -> Memory:
        if version == 1:
            raise ValueError("nothing can be learnt from this")
        return Memory(inputs, outputs)

    simulation = Simulation(used, train, build(used), random.Random(0), START)
    assert len(list(simulation.run(traffic(300)))) == 300
    assert simulation.brain.state.versions[0].state == "failed"
    assert simulation.forecast().version is not None


def test_a_model_without_a_price_is_refused() -> None:
    used = task(remote=RemoteSettings(provider="recorded", model="no-such-model"))
    with pytest.raises(ValueError, match="no price is known"):
        Simulation(used, lambda i, o, v: Memory(i, o), build(used), random.Random(0), START)


class Stubborn(Memory):
    """Wrong about the popular input, as sure of it as of the others."""

    def predict_many(self, inputs: list[dict[str, Any]]) -> list[Guess]:
        guesses = super().predict_many(inputs)
        return [
            replace(guess, output={"label": "wrong"}, confidence=0.99) if input["n"] == -1 else guess
            for input, guess in zip(inputs, guesses, strict=True)
        ]


@pytest.mark.parametrize("share", [0.2, 0.5])
def test_a_popular_input_that_goes_wrong_does_not_hide_behind_the_many_that_came_once(share: float) -> None:
    """In the hold-out it counts once; in the traffic it is a large part."""
    kept = 0
    for seed in range(10):
        coins = random.Random(seed)
        popular = {"kind": 1, "n": -1}
        rows = [
            Recorded(row.request_id, popular, {"label": "popular"}) if coins.random() < share else row
            for row in traffic(1500, seed)
        ]
        simulation = Simulation(task(), lambda i, o, version: Stubborn(i, o), build(task()), random.Random(seed), START)
        for _ in simulation.run(rows):
            pass
        agreement = simulation.forecast().local_agreement
        kept += agreement is None or agreement >= 0.85
    assert kept >= 9
