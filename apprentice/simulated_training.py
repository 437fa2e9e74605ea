"""The data set and the model versions of a simulation: what the store and the fine-tune workflow are in service."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from apprentice.datasets import input_hash, split
from apprentice.duplicates import Sketch, Twins, fingerprint_of, sketch
from apprentice.evaluators import Evaluator
from apprentice.messages import Comparison, FineTuneOutcome, FineTuneRequest, Split, Validation
from apprentice.promotion import judge
from apprentice.settings import TaskSettings
from apprentice.validation import summarise

type Json = dict[str, Any]


class Predicted(Protocol):
    """A local answer: an output that fits the schema and the probability, 0..1, that it agrees with the teacher."""

    @property
    def output(self) -> Json: ...

    @property
    def confidence(self) -> float: ...


class Predictor(Protocol):
    """A trained model.

    `rehearsal` holds answers to its own examples by models that had not seen them: row, score and confidence.
    """

    @property
    def rehearsal(self) -> Sequence[tuple[int, float, float]]: ...

    def predict_many(self, inputs: list[Json]) -> Sequence[Predicted]:
        """Answer inputs in order."""
        ...


type Train = Callable[[list[Json], list[Json], int], Predictor]
"""Learns outputs from inputs, for the version of that number. Raises ValueError where nothing can be learnt."""


@dataclass
class Part:
    """One part of the data set; it only grows."""

    inputs: list[Json] = field(default_factory=list)
    outputs: list[Json] = field(default_factory=list)
    fair: list[bool] = field(default_factory=list)
    sketches: list[Sketch] = field(default_factory=list)


class SimulatedTraining:
    """Collects each input once, trains versions from one part and judges them on the other."""

    def __init__(self, settings: TaskSettings, train: Train, evaluator: Evaluator) -> None:
        self._settings = settings
        self._train = train
        self._evaluator = evaluator
        self._seen: set[str] = set()
        self._twins, self._held = Twins(), 0
        self._parts = {part: Part() for part in Split}
        self._versions: dict[int, Predictor] = {}
        self._scores: dict[int, list[Comparison]] = {}

    def collect(self, input: Json, output: Json, *, fair: bool) -> Split | None:
        """Keep an example; the part it went to, or None if its input was there already."""
        hashed = input_hash(input)
        if hashed in self._seen:
            return None
        self._seen.add(hashed)
        drawn = sketch(input)
        part = split(fingerprint_of(drawn), self._settings.holdout_salt, self._settings.local.holdout_fraction)
        self._parts[part].inputs.append(input)
        self._parts[part].outputs.append(output)
        self._parts[part].fair.append(fair)
        self._parts[part].sketches.append(drawn)
        return part

    def sizes(self) -> tuple[int, int]:
        """Examples to train with and hold-out examples, as of now: a snapshot, since both parts only grow."""
        return len(self._parts[Split.TRAIN].inputs), len(self._parts[Split.HOLDOUT].inputs)

    def ask(self, version: int, input: Json) -> Predicted:
        """A version's answer. Raises KeyError for one that was not trained."""
        return self._versions[version].predict_many([input])[0]

    def fine_tune(self, request: FineTuneRequest, snapshot: tuple[int, int]) -> FineTuneOutcome:
        """Train and judge a version on the examples of a snapshot."""
        size, holdout = snapshot
        part, kept = self._parts[Split.TRAIN], self._apart(size, holdout)
        inputs, outputs = [part.inputs[n] for n in kept], [part.outputs[n] for n in kept]
        try:
            student = self._versions[request.number] = self._train(inputs, outputs, request.number)
        except ValueError as error:
            return FineTuneOutcome(number=request.number, promoted=False, reason=f"training: {error}")
        told = [(score, confidence) for row, score, confidence in student.rehearsal if part.fair[kept[row]]]
        validation = self._validate(request, holdout).model_copy(update={"rehearsal": told})
        promoted, reason = judge(validation, request.promotion_threshold, insist=request.insist)
        self._forget(request.number if promoted else request.incumbent)
        return FineTuneOutcome(
            number=request.number, promoted=promoted, reason=reason, train=size, holdout=holdout, validation=validation
        )

    def _apart(self, size: int, holdout: int) -> list[int]:
        """Which of the first `size` training examples are no near-duplicates of hold-out ones."""
        part, held = self._parts[Split.TRAIN], self._parts[Split.HOLDOUT]
        while self._held < holdout:
            self._twins.add(held.sketches[self._held])
            self._held += 1
        keeps = self._twins.apart(part.sketches[:size])
        return [n for n in range(size) if keeps(part.sketches[n])]

    def _validate(self, request: FineTuneRequest, holdout: int) -> Validation:
        candidate = self._scored(request.number, holdout)
        incumbent = [] if request.incumbent is None else self._scored(request.incumbent, holdout)
        return summarise(candidate, incumbent, request.window_size)

    def _scored(self, version: int, holdout: int) -> list[Comparison]:
        """The version's comparisons on the fair ones of the first `holdout` hold-out examples."""
        part = self._parts[Split.HOLDOUT]
        scored = self._scores.setdefault(version, [])
        new = range(len(scored), holdout)
        answers = self._versions[version].predict_many([part.inputs[n] for n in new])
        for n, answer in zip(new, answers, strict=True):
            score = self._evaluator(answer.output, part.outputs[n])
            scored.append(Comparison(score=score, confidence=answer.confidence, version=version))
        return [comparison for comparison, fair in zip(scored[:holdout], part.fair, strict=False) if fair]

    def _forget(self, current: int | None) -> None:
        """Only the version that serves is ever asked again."""
        for version in [version for version in self._versions if version != current]:
            del self._versions[version]
            self._scores.pop(version, None)
