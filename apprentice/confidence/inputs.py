"""Whether what is asked has changed, seen from the inputs alone: before an answer is wrong, and without a label."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from apprentice.confidence.change import Change, Watch
from apprentice.confidence.detector import FALSE_ALARM_RATE
from apprentice.novelty import FAR


class InputKind(StrEnum):
    """What changed about the inputs."""

    OUT_OF_SCOPE = "out_of_scope"
    NEW_CLASSES = "new_classes"
    NEW_VOCABULARY = "new_vocabulary"
    LESS_SURE = "less_sure"


MEASURES = {
    InputKind.OUT_OF_SCOPE: ("inputs far from what it was trained on: the share of others", "requests"),
    InputKind.NEW_CLASSES: ("answers of classes that it was never shown: the share of others", "comparisons"),
    InputKind.NEW_VOCABULARY: ("new words or values in the inputs: the share of known ones", "requests"),
    InputKind.LESS_SURE: ("the local model is less sure: its confidence", "requests"),
}
"""What is counted of each kind, and over what. The gravest first: of two in one step the first is told."""


class InputChange(BaseModel):
    """A level that fell: of known words, of inputs in scope, of sureness."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    of: InputKind
    change: Change

    def __str__(self) -> str:
        """For an alert."""
        return self.change.told(*MEASURES[self.of])


class InputWatch(BaseModel):
    """Over all requests that the local model of one version answered, compared or not: about 2 KiB of state.

    Each level is watched as agreement is (see `Watch`); the usual level is that of the first requests. The rate, a
    request, is shared by the watches.
    """

    model_config = ConfigDict(extra="forbid")

    watches: dict[InputKind, Watch] = Field(default_factory=dict)

    def see(
        self, novelty: float | None, confidence: float | None, rate: float = FALSE_ALARM_RATE
    ) -> InputChange | None:
        """Take in one request that the local model answered, as `Answer` says; None where nothing was measured."""
        scores: dict[InputKind, float] = {}
        if novelty is not None:
            scores[InputKind.OUT_OF_SCOPE] = float(novelty < FAR)
            scores[InputKind.NEW_VOCABULARY] = 1.0 - novelty
        if confidence is not None:
            scores[InputKind.LESS_SURE] = confidence
        return self._learn(scores, rate)

    def compare(self, known: bool, rate: float = FALSE_ALARM_RATE) -> InputChange | None:
        """Take in one fair comparison: whether the teacher's answer is of classes that the version was shown."""
        return self._learn({InputKind.NEW_CLASSES: float(known)}, rate)

    def _learn(self, scores: dict[InputKind, float], rate: float) -> InputChange | None:
        found: dict[InputKind, Change] = {}
        for kind, score in scores.items():
            watch = self.watches.setdefault(kind, Watch())
            if change := watch.learn(score, rate / len(InputKind)):
                found[kind] = change
        return next((InputChange(of=kind, change=found[kind]) for kind in InputKind if kind in found), None)
