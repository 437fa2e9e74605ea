"""Questions that nobody waits for: collected, sent together through a provider's batch API, answered later."""

from decimal import Decimal
from typing import Any

from pydantic import Field

from apprentice.messages.base import Message, Money, Propensity
from apprentice.messages.requests import Answer, Comparison, TaskRequest

BACKFILL_ROWS = 100


class BatchQuestion(Message):
    """One question of batch number `batch`. `reserved` is the upper bound of its price, already set aside.

    `local` is the answer that was served, to be compared with what comes back: a spot check, of which `propensity` is
    the chance that it was made. Without it the question is only asked to get an example.
    """

    request: TaskRequest
    batch: int
    schema_version: int
    reserved: Money
    local: Answer | None = None
    propensity: Propensity = 1.0


class BatchRequest(Message):
    """Input of `BatchWorkflow`: what was collected is in the store, under the task and the batch's number."""

    task: str
    number: int
    settings_digest: str
    schema_version: int
    size: int
    window_size: int


class BatchProgress(Message):
    """How far a batch is. `failed` says in words why it has no results at all."""

    done: bool
    failed: str = ""


class BatchOutcome(Message):
    """How a batch ended: what `BatchWorkflow` signals to its parent.

    `cost` is what was paid for certain; `in_doubt` what those calls may have cost of which nobody knows whether they
    were made, by request id, for at most 200 of them; `in_doubt_besides` for the others. `comparisons` are the newest,
    at most a window of them. `lost`: its workflow was ended by hand, and nobody knows anything of it.
    """

    number: int
    schema_version: int
    answered: int = 0
    unusable: int = 0
    failed: int = 0
    cost: Money = Decimal(0)
    in_doubt: dict[str, Money] = {}
    in_doubt_besides: Money = Decimal(0)
    examples: int = 0
    holdout: int = 0
    comparisons: list[Comparison] = []
    error: str = ""
    lost: bool = False


class BatchStatus(Message):
    """How the questions stand that nobody waits for: collected, and in batches under way. Totals since the beginning.

    `spend` is part of the task's.
    """

    collected: int = 0
    under_way: int = 0
    answered: int = 0
    unusable: int = 0
    failed: int = 0
    spend: Money = Decimal(0)


class KnownInputs(Message):
    """Ask which of these inputs need not be asked any more: an example has them, or a batch will. Hashes of inputs."""

    task: str
    schema_version: int
    hashes: list[str]


class Backfill(Message):
    """Inputs to be answered for training only, in a batch: no more than fit into one request."""

    inputs: list[dict[str, Any]] = Field(min_length=1, max_length=BACKFILL_ROWS)


class Backfilled(Message):
    """What became of them: `queued`, `known` (no need to ask), `refused` for want of room under a cap, and why."""

    queued: int = 0
    known: int = 0
    refused: int = 0
    why: str = ""
