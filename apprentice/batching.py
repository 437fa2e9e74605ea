"""Questions that nobody waits for are collected, until there are enough of them or the first one is old.

A batch is of one set of settings, and of one period of every cap and one lease: its money is one reservation. It ends
when its answers come, a day later at the latest; what was put aside for it is held until then.
"""

import json
from datetime import datetime, timedelta
from decimal import Decimal

from pydantic import AwareDatetime, BaseModel

from apprentice import prices
from apprentice.messages import BatchOutcome, BatchStatus, Route, RouteReason, TaskRequest
from apprentice.settings import TaskSettings

# Those whose batch API we speak.
PROVIDERS = ("anthropic", "openai", "recorded", "simulated")
# A file of this size is sent within the time-out of one call, and fits into every provider's limit (Google's is the
# lowest: 20 MB for a request with the questions in it).
MOST_BYTES = 8 * 1024 * 1024
# The providers give a batch up after 24 hours; then a few more to hear of it. Later than that its workflow is gone.
GIVEN_UP_AFTER = timedelta(hours=30)
# So that the state stays small. While so many are under way no more is collected.
MOST_UNDER_WAY = 50


class Batches(BaseModel):
    """What a task remembers of its batches. `number` is of the one that is being collected, or of the last one.

    Comparisons of batches before number `fresh_from` are of a window that was closed. `spend` is what all of them
    cost, part of the task's.
    """

    number: int = 0
    size: int = 0
    bytes: int = 0
    opened_at: AwareDatetime | None = None
    digest: str = ""
    schema_version: int = 1
    under_way: dict[int, tuple[AwareDatetime, int]] = {}
    fresh_from: int = 0
    answered: int = 0
    unusable: int = 0
    failed: int = 0
    spend: Decimal = Decimal(0)

    @property
    def opened(self) -> bool:
        """Whether a batch is being collected."""
        return self.opened_at is not None

    @property
    def key(self) -> str:
        """Of its reservation."""
        return reservation_key(self.number)

    def open(self, digest: str, schema_version: int, now: datetime) -> None:
        """Begin to collect the next one."""
        self.number, self.size, self.bytes, self.opened_at = self.number + 1, 0, 0, now
        self.digest, self.schema_version = digest, schema_version

    def send(self, now: datetime) -> None:
        """What was collected is on its way."""
        self.under_way[self.number] = (now, self.size)
        self.size, self.bytes, self.opened_at = 0, 0, None

    def full(self, settings: TaskSettings) -> bool:
        """Whether there are enough."""
        return self.size >= settings.remote.batch_size or self.bytes >= MOST_BYTES

    def has_place(self) -> bool:
        """Whether another one may begin."""
        return len(self.under_way) < MOST_UNDER_WAY

    def next_due(self, settings: TaskSettings) -> datetime | None:
        """When `due` or `overdue` has something to say by the clock alone."""
        ripe = self.opened_at + settings.remote.batch_every if self.opened_at else None
        ends = [since + GIVEN_UP_AFTER for since, _ in self.under_way.values()]
        return min((time for time in [ripe, *ends] if time), default=None)

    def due(self, settings: TaskSettings, now: datetime) -> bool:
        """Whether to send what was collected."""
        return self.opened_at is not None and (
            self.full(settings) or now >= self.opened_at + settings.remote.batch_every
        )

    def overdue(self, now: datetime) -> list[int]:
        """Those of which nothing will be heard any more."""
        return [number for number, (since, _) in self.under_way.items() if now >= since + GIVEN_UP_AFTER]

    def ended(self, outcome: BatchOutcome, cost: Decimal) -> None:
        """Count what became of one."""
        self.answered += outcome.answered
        self.unusable += outcome.unusable
        self.failed += outcome.failed
        self.spend += cost

    def status(self) -> BatchStatus:
        """For operators."""
        under_way = sum(size for _, size in self.under_way.values())
        counted = {name: getattr(self, name) for name in ("answered", "unusable", "failed", "spend")}
        return BatchStatus(collected=self.size, under_way=under_way, **counted)


def reservation_key(number: int) -> str:
    """Of the money of one batch. No request has it: their reservations have ids, and this has a control character."""
    return f"\x01batch/{number}"


def postponed(route: Route, settings: TaskSettings, *, coaching: bool) -> Route:
    """A spot check whose remote answer comes later, where the settings want that; else the route as it is.

    While the model is being coached it is in doubt: then the remote answer is served, and counts at once.
    """
    if not settings.remote.batch or coaching or route.reason is not RouteReason.SPOT_CHECK:
        return route
    return route.model_copy(update={"remote": False, "later": True})


def bound(settings: TaskSettings, request: TaskRequest) -> Decimal:
    """The most that the question can cost in a batch: it goes to the main model. Raises ValueError without a price."""
    alone = settings.remote.model_copy(update={"additional_providers": []})
    whole = prices.reservation(settings.model_copy(update={"remote": alone}), request.input)
    return whole * (1 - Decimal(str(prices.known(alone).batch_discount)))


def length(request: TaskRequest) -> int:
    """About how long it is on its way to the provider, in bytes, without the prompt around it."""
    return len(json.dumps(request.input, ensure_ascii=False).encode("utf-8", "surrogatepass"))
