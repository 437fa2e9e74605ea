"""One request on its way: what the caller sends, where it goes, what comes back."""

from decimal import Decimal
from enum import StrEnum
from typing import Any

from pydantic import Field

from apprentice.messages.base import Message, Money, Phase, Propensity, Score, Source, Split


class TaskRequest(Message):
    """A caller's request. `input` has been checked against the task's `input_schema` by the time a worker sees it."""

    request_id: str = Field(min_length=1, max_length=200)
    task: str
    input: dict[str, Any]


class Answer(Message):
    """One model's answer to one request.

    `version` is the local model's version (None for a remote model); `confidence` is the calibrated probability
    that the answer agrees with the teacher (None where the model gives none); `novelty` is how unlike the version's
    training inputs the input is (0 familiar, 1 all new; None where nobody measured); `latency_seconds` is the model's
    own time, without queueing. `provider` is who gave a remote answer; `cost` of a local one is what its server costs
    while it answers, which no cap counts.
    """

    source: Source
    output: dict[str, Any]
    model: str
    provider: str | None = None
    version: int | None = None
    confidence: Score | None = None
    novelty: Score | None = None
    cost: Money = Decimal(0)
    input_tokens: int = 0
    output_tokens: int = 0
    latency_seconds: float = 0.0


class RouteReason(StrEnum):
    """Why a request went where it went."""

    COLLECTING = "collecting"
    COACHING = "coaching"
    SPOT_CHECK = "spot_check"
    AUTONOMOUS = "autonomous"
    DEFERRED = "deferred"
    SHARED = "shared"
    FORCED = "forced_remote"
    BUDGET = "budget"
    LOCAL_FAILED = "local_failed"


class Route(Message):
    """Where one request goes. Whenever the remote model is asked, its answer is the one served.

    `propensity` is the probability that the remote model would be asked, given everything known at that time;
    `reserved` is the upper bound of the call's price, already set aside; `degraded` says that the budget kept a
    remote answer away; `defer_below` is the confidence under which the local answer is not served. `rate` is the
    probability with which a coin picks a request for a check. Under an allowance, local answers that are less sure
    than `proven` are served without proof that they keep the promise. `later`: the remote model is asked in a batch,
    after the local answer was served.
    """

    remote: bool
    local: bool
    reason: RouteReason
    propensity: Score = 1.0
    reserved: Money = Decimal(0)
    degraded: bool = False
    version: int | None = None
    defer_below: Score = 0.0
    rate: Score = 1.0
    proven: Score = 0.0
    later: bool = False

    @property
    def fair(self) -> bool:
        """Whether the remote model was asked, or not, before anyone looked at the request.

        Only then is the comparison, or the example, that comes of it a fair draw from the traffic. Inputs that a local
        model is unsure of, or fails on, are harder than others.
        """
        chosen = self.later or self.reason is not RouteReason.LOCAL_FAILED
        return chosen and self.reason is not RouteReason.DEFERRED

    def chance_of_comparison(self, confidence: float | None) -> float:
        """The probability that a request whose local answer is this sure is compared: an unsure one always is."""
        return 1.0 if (confidence or 0.0) < self.defer_below else self.propensity

    def short(self, confidence: float | None) -> bool:
        """Whether a local answer that is this sure is served though a remote one was wanted, or nothing is proven."""
        return self.degraded or (confidence or 0.0) < self.proven

    def weight(self, confidence: float | None) -> float:
        """What a comparison counts for in a fair picture of the traffic, in [0, 1]: see `Comparison`."""
        chance = self.chance_of_comparison(confidence)
        return self.rate / chance if chance else 0.0


class Trace(Message):
    """Where a result came from. The caller's code never has to look at it.

    `replayed`: this request id had been answered before. `copied`: another request with the same input paid for the
    answer, in flight or in the cache. `cost` is what the provider bills: 0 for a local answer, whose server's cost is
    summed up in `TaskStatus.local_cost`.
    """

    served_by: Source
    phase: Phase
    reason: RouteReason
    model: str
    version: int | None = None
    confidence: Score | None = None
    score: Score | None = None
    propensity: Score = 1.0
    cost: Money = Decimal(0)
    replayed: bool = False
    copied: bool = False


class TaskResult(Message):
    """What the caller gets. `degraded`: the budget or an outage kept a remote answer away that the policy wanted."""

    output: dict[str, Any]
    request_id: str
    degraded: bool = False
    trace: Trace


class Comparison(Message):
    """The evaluator's score of a local answer against the remote answer to the same request.

    `propensity` is the probability that the request was compared, given everything known at that time; `weight` is the
    sampling rate of that time over it, which makes comparisons of all requests a fair picture of the traffic.
    """

    score: Score
    propensity: Propensity = 1.0
    weight: Propensity = 1.0
    confidence: Score | None = None
    version: int


class Trouble(Message):
    """A remote model that could not answer, so that another was asked or nobody answered.

    `error` is the name of a `RemoteError`; `message` says it in words, without any input, output or key.
    """

    provider: str
    model: str
    error: str
    message: str


class RequestOutcome(Message):
    """All that happened to one request; what the lifecycle learns from.

    `remote` is None when the remote model was not asked or failed; `example` names the split when the remote
    answer was stored as a new example. `replayed`: the store already knew the answer, so nothing new happened.
    `copied`: the remote answer was paid for by another request with the same input. `error` is the name of the error
    that the caller got instead of an answer (`route` is None if it was not even admitted); `lost` is what calls without
    an answer have to be counted at, `in_doubt` the part of it of which nobody knows whether it was paid. `made`: such a
    call was made, or may have been, even if it was free. `troubles` names the remote models that could not answer,
    `local_error` the error of the local model, if it was asked and could not answer.
    """

    request_id: str
    route: Route | None
    remote: Answer | None = None
    local: Answer | None = None
    score: Score | None = None
    example: Split | None = None
    replayed: bool = False
    copied: bool = False
    error: str | None = None
    lost: Money = Decimal(0)
    in_doubt: Money = Decimal(0)
    made: bool = False
    troubles: list[Trouble] = []
    local_error: str | None = None

    @property
    def unusable(self) -> bool:
        """Whether the local model was to be compared, and what it wrote does not even fit: it does not agree.

        Only where the coin chose the comparison: what fails to serve goes to the remote model because it failed. A
        spot check that a batch was to answer (`later`) was chosen, too. What its server did is no word of the model.
        """
        chosen = self.route is not None and (self.route.later or self.route.reason is not RouteReason.LOCAL_FAILED)
        return chosen and self.remote is not None and not self.copied and self.local_error == "BadAnswer"
