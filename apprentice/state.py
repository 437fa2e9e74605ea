"""Everything a lifecycle remembers: what continue-as-new carries over. Bounded, whatever ran before."""

import json
from datetime import datetime
from decimal import Decimal

from pydantic import BaseModel, ConfigDict, Field

from apprentice.allowance.state import AllowanceState
from apprentice.batching import Batches
from apprentice.budget import Ledger
from apprentice.messages import Alert, Comparison, Gold, HistoryPoint, Phase, Troubled, VersionStatus
from apprentice.outage import LocalHealth
from apprentice.purse import Grants
from apprentice.quality.evidence import Evidence

# A full window (1,000 comparisons of 108 bytes) and the story take 170 KiB of the 256 that the state may; this is for
# the rest. Texts count in bytes of JSON: a control character takes six.
ALERTS_KEPT = 40
VERSIONS_KEPT = 50
POINTS_KEPT = 240
TEXT_BYTES = 240
POINT_DIGITS = 4


class LifecycleState(BaseModel):
    """The brain's memory; only `Lifecycle` writes to it. Counters are totals since the task began."""

    model_config = ConfigDict(extra="forbid")

    phase: Phase = Phase.COLLECTING
    phase_reason: str = "the task has just begun"
    begun: bool = False
    retired: bool = False

    # The window of the current version, and what was derived from it.
    version: int | None = None
    window: list[Comparison] = []
    evidence: Evidence | None = None
    shift: float = 0.0
    rate: float = 1.0
    rate_anchor: float | None = None
    defer_below: float = 1.0
    coaching: bool = False

    # Examples and fine-tunes.
    examples: int = 0
    holdout: int = 0
    # Fair requests that the remote model answered, and those of them whose input was an example already, now and when a
    # fine-tune last began. `dry`: its answers, to any request, since a new example came or a fine-tune began.
    drawn: int = 0
    repeated: int = 0
    repeated_taught: int = 0
    dry: int = 0
    # Fair hold-out examples since quality or inputs were last seen to change, now and when a fine-tune last began.
    fresh: int | None = None
    fresh_taught: int | None = None
    # A version fell short of its hold-out as soon as it answered: from then on only what comes proves anything.
    overrated: bool = False
    fine_tunes: int = 0
    training: int | None = None
    trained_examples: int = 0
    trained_at: datetime | None = None
    retrain_reason: str | None = None
    versions: list[VersionStatus] = []
    failed_version: int | None = None
    outdated: int = 0  # versions up to this one were taught another schema
    health: LocalHealth = Field(default_factory=LocalHealth)

    # Orders in force.
    forced: bool = False
    forced_until: datetime | None = None
    coaching_paused: bool = False
    frozen: bool = False

    # Counters and money.
    requests: int = 0
    local: int = 0
    deferred: int = 0
    degraded: int = 0
    failed: int = 0
    copied: int = 0
    remote_calls: int = 0
    spend: Decimal = Decimal(0)
    all_remote: Decimal = Decimal(0)
    local_cost: Decimal = Decimal(0)
    ledger: Ledger = Field(default_factory=Ledger)
    grants: Grants = Field(default_factory=Grants)
    allowance: AllowanceState | None = None
    batches: Batches = Field(default_factory=Batches)

    # The remote models: who cannot answer, and how far two agree.
    troubled: list[Troubled] = []
    opinions: int = 0
    opinions_agreed: float = 0.0
    opinions_spend: Decimal = Decimal(0)
    gold: Gold = Field(default_factory=Gold)

    # The story.
    history: list[HistoryPoint] = []
    stride: int = 1
    alert_count: int = 0
    alerts: list[Alert] = []
    undelivered: list[Alert] = []
    budget_alerted: str = ""

    def begin_anew(self) -> None:
        """For another schema: no example and no version so far can answer it. Money and the story go on."""
        self.phase, self.phase_reason = Phase.COLLECTING, "the schema changed"
        self.version, self.evidence, self.training, self.trained_at, self.retrain_reason = None, None, None, None, None
        self.examples = self.holdout = self.trained_examples = 0
        self.drawn = self.repeated = self.repeated_taught = self.dry = 0
        self.rate, self.defer_below = 1.0, 1.0
        self.fresh, self.fresh_taught, self.overrated = None, None, False
        self.outdated, self.health = self.fine_tunes, LocalHealth()
        self.begun, self.gold = False, Gold()

    def remember(self, point: HistoryPoint) -> None:
        """Keep a point of the story; when there are too many, every second one goes and the stride doubles."""
        figures = {name: getattr(point, name) for name in ("correlation", "low", "high")}
        rounded = {name: round(value, POINT_DIGITS) for name, value in figures.items() if value is not None}
        self.history.append(point.model_copy(update=rounded))
        if len(self.history) > POINTS_KEPT:
            self.history = self.history[1::2]
            self.stride *= 2

    def record(self, version: VersionStatus) -> None:
        """Keep what became of a version; a promotion retires the one before it."""
        if version.state == "promoted":
            self.versions = [
                old.model_copy(update={"state": "retired"}) if old.state == "promoted" else old for old in self.versions
            ]
        kept = version.model_copy(update={"reason": clipped(version.reason)})
        self.versions = [*self.versions, kept][-VERSIONS_KEPT:]

    def raise_alert(self, alert: Alert) -> None:
        """Keep an alert, and hold it for delivery. What was not delivered in time is still in `alerts`."""
        alert = alert.model_copy(update={"message": clipped(alert.message)})
        self.alerts = [*self.alerts, alert][-ALERTS_KEPT:]
        self.undelivered = [*self.undelivered, alert][-ALERTS_KEPT:]

    def delivered(self, alert: Alert) -> None:
        """Nothing more to do about this alert."""
        self.undelivered = [held for held in self.undelivered if held.id != alert.id]


def clipped(text: str) -> str:
    """The text, if need be cut at the end so that its JSON takes no more than `TEXT_BYTES`."""
    whole = text
    while (size := len(json.dumps(text, ensure_ascii=False).encode(errors="replace"))) > TEXT_BYTES:
        text = text[: len(text) * (TEXT_BYTES - 3) // size]
    return text if text == whole else f"{text}…"
