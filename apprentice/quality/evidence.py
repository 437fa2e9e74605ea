"""What the comparisons of a version have proven since it began to answer, or since its quality was seen to change."""

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field

from apprentice.before_0_4 import shift
from apprentice.messages import Comparison
from apprentice.quality.ladder import Ladder, Rung
from apprentice.settings import TaskSettings


class Evidence(BaseModel):
    """Grows by one comparison at a time; small, however many there were."""

    model_config = ConfigDict(extra="forbid")

    ladder: Ladder = Field(default_factory=lambda: Ladder.begin([], "local"))
    fair: int = 0
    breach: float = 0.0

    @classmethod
    def of(cls, comparisons: Sequence[Comparison], settings: TaskSettings) -> "Evidence":
        """From comparisons that nobody has looked at yet to decide anything by; of its hold-out, mostly."""
        confidences = [one.confidence for one in comparisons if one.confidence is not None]
        begun = cls(ladder=Ladder.begin(confidences, settings.quality.scope))
        for one in comparisons:
            begun.ladder.see(one.confidence)
            begun.learn(one, settings, fair=True)
        return begun

    def learn(self, comparison: Comparison, settings: TaskSettings, *, fair: bool) -> None:
        """Take in one more. `fair`: a coin chose it before anyone looked at the request."""
        self.fair += fair
        self.ladder.learn(comparison, settings.quality_target, settings.quality.scope)

    def watch(self, comparison: Comparison, settings: TaskSettings) -> None:
        """An answer that was sure enough to be served was checked: does the promise hold?"""
        self.breach = shift.step(self.breach, comparison.score, settings.quality_target)

    @property
    def broken(self) -> bool:
        """Whether it is proven that what is served has fallen below the target."""
        return shift.proven(self.breach)

    def rungs(self, settings: TaskSettings) -> list[Rung]:
        """From the strictest down."""
        return self.ladder.rungs(settings.quality_target, settings.quality.confidence, settings.quality.scope)
