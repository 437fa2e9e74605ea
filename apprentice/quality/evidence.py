"""What the comparisons of a version have proven since it began to answer, or since its quality was seen to change."""

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field

from apprentice.confidence.change import Change, Watch
from apprentice.confidence.inputs import InputChange, InputWatch
from apprentice.confidence.promise import Promise
from apprentice.confidence.sequence import ConfidenceSequence
from apprentice.messages import Answer, Comparison, Interval
from apprentice.novelty import knows
from apprentice.quality.ladder import Ladder, Rung, Scope
from apprentice.settings import TaskSettings

INPUT_ALARMS = 1e-6
"""False alarms a request of the watch over inputs: it looks at all of them, where agreement is seen at checks alone."""


class Evidence(BaseModel):
    """Grows by one comparison at a time; small, however many there were.

    `agreement` is over all traffic, of fair comparisons. Of the watches, `course` looks for a fall of that agreement
    from its own level, `served` for one of what the promise is about below the target, `inputs` for other inputs than
    before; `classes` are those of the answers that the version was taught (`apprentice.novelty`). `held` is how many of
    its comparisons are of the version's hold-out; None where neither that nor a rehearsal proved anything.
    """

    model_config = ConfigDict(extra="forbid")

    target: float
    scope: Scope
    ladder: Ladder
    agreement: ConfidenceSequence = Field(default_factory=ConfidenceSequence)
    course: Watch = Field(default_factory=Watch)
    served: Promise = Field(default_factory=Promise)
    inputs: InputWatch = Field(default_factory=InputWatch)
    classes: str = ""
    held: int | None = None

    @classmethod
    def of(
        cls,
        comparisons: Sequence[Comparison],
        settings: TaskSettings,
        rehearsal: Sequence[tuple[float, float]] = (),
        typical: Sequence[float] = (),
        classes: str = "",
        repeated: float = 0.0,
    ) -> "Evidence":
        """From fair comparisons, of its hold-out mostly, and rehearsed answers (score, confidence).

        `typical` are further confidences: how sure it is of what is too old to prove anything. `repeated` is the share
        of the traffic that is in neither, as its input had come before.

        Each counts in full: a coin chose it, and those that were compared besides, which made up for the weight of an
        unsure one, are not among them.
        """
        confidences = [one.confidence or 0.0 for one in comparisons]
        confidences += [*(confidence for _, confidence in rehearsal), *typical]
        scope = settings.quality.scope
        ladder = Ladder.begin(confidences, scope)
        begun = cls(target=settings.quality_target, scope=scope, ladder=ladder, classes=classes)
        if rehearsal:
            begun.ladder.rehearse(rehearsal, begun.target, scope, repeated)
        for one in comparisons:
            begun.ladder.see(one.confidence)
            begun.ladder.learn(one.model_copy(update={"weight": 1.0}), begun.target, scope, repeated)
            begun.agreement.add(one.score)
        begun.course.restart([one.score for one in comparisons])
        return begun

    def see(self, answer: Answer) -> InputChange | None:
        """Take in an answer of the version, compared or not; whether inputs are proven to be others than before."""
        self.ladder.see(answer.confidence)
        return self.inputs.see(answer.novelty, answer.confidence, INPUT_ALARMS)

    def hear(self, answer: Answer) -> InputChange | None:
        """Take in what the remote model said to a fair request; whether it is proven to speak of other things."""
        return self.inputs.compare(knows(self.classes, answer.output))

    def learn(self, comparison: Comparison, *, fair: bool, serves: bool | None = None) -> Change | None:
        """Take in one more comparison; whether it proves that the agreement fell from its level.

        `fair`: a coin chose it before anyone looked at the request. `serves`: whether the answer was sure enough to be
        served; None where the remote model answers anyway.
        """
        self.ladder.learn(comparison, self.target, self.scope)
        if not fair:
            return None
        if serves:
            self.served.learn(comparison.score, self.target)
        elif serves is False and self.scope == "served":
            self.served.learn(1.0, self.target)  # the remote model answers it
        self.agreement.add(comparison.score)
        return self.course.learn(comparison.score)

    def overrated(self, ago: int) -> bool:
        """Whether a fall that began so many comparisons ago was there from the version's first requests on, or nearly.

        Then the traffic did not change: the hold-out spoke too well of it. The first requests may be like its examples.
        """
        return self.held is not None and 2 * ago >= self.agreement.n - self.held

    @property
    def broken(self) -> bool:
        """Whether what the promise is about is proven to have fallen below the target."""
        return self.served.broken()

    def good_somewhere(self, confidence: float, share: float) -> bool:
        """Whether at least this share of the requests, the surest, agrees at the target so far, proven or not."""
        able = (rung.agreement for rung in self.rungs(confidence) if rung.share >= share)
        return any(agreement is not None and agreement >= self.target for agreement in able)

    @property
    def suspicion(self) -> float:
        """0 where nothing points to a fall of quality, 1 where it is proven."""
        return max(self.course.suspicion(), self.served.suspicion())

    def correlation(self) -> Interval | None:
        """Agreement on all traffic, with bounds that hold at every look; None without a comparison."""
        mean = self.agreement.mean()
        if mean is None:
            return None
        low, high = self.agreement.interval()
        return Interval(mean=mean, low=min(low, mean), high=max(high, mean), n=self.agreement.n)

    def concerns(self, settings: TaskSettings) -> bool:
        """Whether it is about what these settings promise; another confidence only asks for more or less of it."""
        return (self.target, self.scope) == (settings.quality_target, settings.quality.scope)

    def rungs(self, confidence: float) -> list[Rung]:
        """From the strictest down, as far as they are proven with a confidence in (0, 1)."""
        return self.ladder.rungs(confidence, self.scope)

    def waits(self, rungs: Sequence[Rung], confidence: float) -> list[tuple[int, Rung]]:
        """Of those, judged with this confidence, the ones that will be proven, with about how many more comparisons."""
        return self.ladder.waits(rungs, self.target, self.scope, confidence)
