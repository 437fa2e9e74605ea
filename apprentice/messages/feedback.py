"""What people say of answers: labels, how the models' answers compare with them, and what they add up to."""

from typing import Any, Self

from pydantic import Field, model_validator

from apprentice.messages.base import Message, Score

LABELS = 100
"""In one message, at most."""


class Label(Message):
    """What a person says of one request: the right `output`, or whether the answer that was served is `right`."""

    request_id: str = Field(min_length=1, max_length=200)
    output: dict[str, Any] | None = None
    right: bool | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.output is None) == (self.right is None):
            raise ValueError("a label has either `output` or `right`")
        return self


class Feedback(Message):
    """Labels, no more than fit into one request. Of two for the same request the later one holds."""

    labels: list[Label] = Field(min_length=1, max_length=LABELS)


class FeedbackCall(Message):
    """Input of the activity `record_feedback`."""

    task: str
    settings_digest: str
    labels: list[Label]


class Verdict(Message):
    """How the answers to one request compare with its label, by the task's evaluator.

    `served`: the answer that the caller got; `teacher`, `local`: each model's, None where it gave none, or where a
    label without an output says nothing of it. `audited`: the request was drawn at random to be labelled. `corrected`:
    an example now teaches something else than the teacher said. `error`: the label was not taken, `message` says why.
    """

    request_id: str
    served: Score | None = None
    teacher: Score | None = None
    local: Score | None = None
    audited: bool = False
    corrected: bool = False
    error: str | None = None
    message: str = ""


class Tally(Message):
    """`n` answers that were scored against labels; `right` is the sum of the scores."""

    n: int = 0
    right: float = 0.0


class Gold(Message):
    """All labels of a task together, for the schema that it has.

    Of requests that an audit has drawn: how many were `drawn`, how many of them are `labelled`, the `teacher`'s
    answers, those of the local model `beside` them, those that the local model `served` alone, and the `differences`
    between two answers to one request, of which it is counted where the local one was nearer to the label. Of the
    requests that people chose themselves: how many (`told`), and what was served there (`told_served`).
    """

    drawn: int = 0
    labelled: int = 0
    teacher: Tally = Tally()
    beside: Tally = Tally()
    served: Tally = Tally()
    differences: Tally = Tally()
    told: int = 0
    told_served: Tally = Tally()


class Labelled(Message):
    """Output of `record_feedback`: a verdict for each label in their order, and what all labels add up to now."""

    verdicts: list[Verdict]
    gold: Gold
