"""What activities take and give."""

from decimal import Decimal

from pydantic import AwareDatetime

from apprentice.messages.base import Message, Money, Propensity, Score, Split
from apprentice.messages.feedback import Gold
from apprentice.messages.requests import Answer, RouteReason, TaskRequest, Trouble


class SpentQuery(Message):
    """Ask what was spent by calls begun since then, by task and by day of the time zone. `task` None is all tasks."""

    timezone: str
    since: AwareDatetime
    task: str | None = None


class RemoteCall(Message):
    """Input of the activity `ask_remote`. `reserved` is the upper bound that was set aside for this call.

    `fair` is `Route.fair`. `copy_of` names a request with the same input that has just been answered: that answer is
    this request's too, and nothing is asked. `reason` and `propensity` are the route's: the journal remembers them.

    `admission` is unique for each time a request is admitted: it tells an activity that Temporal runs again (what it
    did the first time has not been accounted for) from a caller who sends a request again (it has).
    """

    request: TaskRequest
    admission: str
    settings_digest: str
    schema_version: int
    reserved: Money
    fair: bool = True
    copy_of: str | None = None
    reason: RouteReason | None = None
    propensity: Score | None = None


class Standing(Message):
    """What the store knows of a task when a workflow registers its settings.

    A task whose workflow is started anew goes on with its examples, numbers its versions and batches after those it
    has, and has spent what it spent: `spent` is by day, in the budget's time zone, since the current week and month
    began. `gold` is what its labels add up to.
    """

    settings_digest: str
    examples: int = 0
    holdout: int = 0
    last_version: int = 0
    last_batch: int = 0
    schema_version: int | None = None
    spent: dict[str, Money] = {}
    gold: Gold = Gold()


class LocalCall(Message):
    """Input of `ask_local`.

    The answer is final (`serves`) unless its confidence is below `defer_below`; below `proven` it is `degraded`.
    `reason` and `propensity` are the route's: the journal remembers them with a final answer.
    """

    request: TaskRequest
    admission: str
    settings_digest: str
    version: int
    serves: bool
    defer_below: Score = 0.0
    degraded: bool = False
    reason: RouteReason | None = None
    propensity: Score | None = None
    proven: Score = 0.0


class Reply(Message):
    """Output of `ask_remote` and `ask_local`.

    `replayed`: the request had been answered in an earlier admission, by `answer`, and nothing was asked or paid now.
    `copied`: another request with the same input was, and paid. `troubles`: who was asked before, in vain.
    """

    answer: Answer
    example: Split | None = None
    replayed: bool = False
    copied: bool = False
    degraded: bool = False
    troubles: list[Trouble] = []


class CompareCall(Message):
    """Input of `compare`: score `local` against `remote` and store the comparison. Idempotent by request id."""

    request_id: str
    task: str
    settings_digest: str
    local: Answer
    remote: Answer
    propensity: Propensity


class OpinionCall(Message):
    """Input of `second_opinion`: put the request to another remote model than the one that gave `answer`.

    `opinion_id` is the call's own id in the journal and in the accounts.
    """

    opinion_id: str
    request: TaskRequest
    answer: Answer
    admission: str
    settings_digest: str
    reserved: Money


class Opinion(Message):
    """What came of a second opinion; `request_id` is its call's own id.

    `score` is how far the two answers agree, None if there is no second: then `error` says why. `provider` and `model`
    are who answered. `cost` is what the call has to be counted at, `in_doubt` the part of it of which nobody knows
    whether it was paid.
    """

    request_id: str
    provider: str | None = None
    model: str | None = None
    score: Score | None = None
    error: str | None = None
    cost: Money = Decimal(0)
    in_doubt: Money = Decimal(0)
    troubles: list[Trouble] = []
