"""What `apprentice.yaml` may say, typed. Reading the file, with its lines, is `apprentice.config`'s work.

A `TaskSettings` is one task with everything that applies to it resolved (its own keys over the top-level ones): it
is what workflows carry and activities look up by `digest`. No secret is ever in it, only names of environment
variables.
"""

import hashlib
import re
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from pydantic_core import PydanticCustomError

# Strict parsing (`apprentice.config`) takes neither a whole number for money nor text for a duration by itself.
_ISO_DURATION = TypeAdapter(timedelta)
_DURATION = re.compile(r"(?:(\d{1,6})w)?(?:(\d{1,6})d)?(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,6})s)?")
_BYTES = re.compile(r"(\d{1,12})\s*(?:([KMG])i?)?B?")


def _exact(value: object) -> object:
    return Decimal(value) if type(value) is int else value


def _bytes(value: object) -> object:
    if not isinstance(value, str):
        return value
    if parts := _BYTES.fullmatch(value.strip()):
        return int(parts[1]) * 1024 ** ("KMG".index(parts[2]) + 1 if parts[2] else 0)
    raise PydanticCustomError("bytes", "expected a number of bytes such as 512KiB or 1MiB")


def _duration(value: object) -> object:
    if not isinstance(value, str):
        return value
    if value and (parts := _DURATION.fullmatch(value.replace(" ", ""))):
        weeks, days, hours, minutes, seconds = (int(part or 0) for part in parts.groups())
        return timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)
    try:
        return _ISO_DURATION.validate_python(value)
    except ValidationError:
        raise PydanticCustomError("duration", "expected a duration such as 7d, 12h or 1d 6h") from None


Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Cap = Annotated[Decimal, BeforeValidator(_exact), Field(ge=0)]
# Ten years: a longer one would overflow the calendar when it is added to a date.
Duration = Annotated[timedelta, BeforeValidator(_duration), Field(gt=timedelta(0), le=timedelta(days=3650))]
# A request is one payload; a worker holds all that are in flight in memory, several times over.
RequestBytes = Annotated[int, BeforeValidator(_bytes), Field(ge=1024, le=8 * 1024 * 1024)]
Tolerance = Annotated[float, Field(ge=0.0)]

# Workflow id of the budget for all tasks. No task has it: theirs begin with `apprentice/`.
SHARED_BUDGET = "apprentice-budget"
TASK_NAME = r"^[a-z][a-z0-9_]{0,62}$"


class Settings(BaseModel):
    """Base of all settings: immutable, an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ConfidenceThresholds(Settings):
    """When a task moves between phases. Correlation is the windowed mean agreement score, in [0, 1]."""

    phase1_to_phase2: int = Field(50, ge=1, description="examples before the local model is first trained and tried")
    phase2_to_phase3: Fraction = Field(0.85, description="correlation at which the local model starts to serve")
    coaching_trigger: Fraction = Field(0.70, description="below this: compare everything, retrain, alert")
    emergency_threshold: Fraction = Field(
        0.50, description="below this: back to the remote model; also the floor for a promotion"
    )
    min_samples: int = Field(20, ge=2, description="comparisons without which nothing is concluded")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        emergency, coaching, autonomy = self.emergency_threshold, self.coaching_trigger, self.phase2_to_phase3
        if emergency < coaching < autonomy < 1.0:
            return self
        raise PydanticCustomError(
            "thresholds_out_of_order",
            "thresholds out of order: need emergency_threshold < coaching_trigger < phase2_to_phase3 < 1, "
            "got {emergency}, {coaching}, {autonomy}",
            {
                "emergency": emergency,
                "coaching": coaching,
                "autonomy": autonomy,
                "key": "emergency_threshold" if emergency >= coaching < autonomy < 1.0 else "phase2_to_phase3",
            },
        )


class EvaluatorOptions(Settings):
    """How answers are compared. Which keys apply depends on the evaluator; see `apprentice.evaluators`."""

    weights: dict[str, Annotated[float, Field(gt=0)]] = Field(
        {}, description="structured_match: weight of each field, default 1"
    )
    numeric_tolerance: Tolerance | dict[str, Tolerance] = Field(
        0.0, description="structured_match: numbers this close are equal; one number, or one for each field"
    )
    ignore_case: bool = Field(False, description="strings are compared without regard to case")
    ignore_whitespace: bool = Field(True, description="runs of white space count as one space, ends are trimmed")
    lists_as_sets: bool = Field(
        False, description="structured_match: lists are scored by set overlap (Jaccard), not by position"
    )
    path: str | None = Field(
        None, description="custom: `package.module:function`, taking (local, remote) outputs, giving 0..1"
    )
    model: str = Field(
        "all-MiniLM-L6-v2", description="semantic_similarity: sentence-transformers model name or folder"
    )


class PriceTier(Settings):
    """Another price for all tokens of a call whose input is longer than `above_input_tokens`."""

    above_input_tokens: int = Field(ge=1)
    input_per_million: Cap
    output_per_million: Cap


class Price(Settings):
    """What a remote call costs, in the budget's currency. Needed for a model that the price list does not know."""

    input_per_million: Cap = Field(Decimal(0), description="for a million input tokens")
    output_per_million: Cap = Field(Decimal(0), description="for a million output tokens")
    per_request: Cap = Field(Decimal(0), description="for each request, besides tokens")
    tiers: list[PriceTier] = Field([], description="prices of calls with a long input")


class Simulation(Settings):
    """How a `simulated` or `recorded` remote model behaves on the wire."""

    latency_seconds: float = Field(0.2, ge=0, le=600, description="median time to answer")
    latency_spread: float = Field(0.3, ge=0, le=3, description="sigma of the log-normal latency; 0 is constant")
    error_rate: Fraction = Field(0.0, description="share of attempts that fail with a retryable error")
    noise: Fraction = Field(0.0, description="share of answers that are wrong")
    seed: int = Field(0, description="of latency, errors and noise")


class ProviderSettings(Settings):
    """One remote model."""

    provider: Literal["simulated", "recorded", "openai_compatible"]
    model: str = Field(min_length=1, description="the model's name, as its provider and the price list spell it")
    api_key_env: str | None = Field(None, description="name of the environment variable that holds the key")
    price: Price | None = Field(None, description="overrides the price list; filled in from the list by `config.load`")
    max_output_tokens: int = Field(512, ge=1, description="upper bound of an answer, for the reservation")
    timeout_seconds: float = Field(60.0, gt=0, description="for one attempt")
    base_url: str | None = Field(
        None, description="openai_compatible: what stands before /chat/completions, such as http://localhost:8000/v1"
    )
    idempotent: bool = Field(
        False, description="openai_compatible: the server answers and bills a repeated Idempotency-Key only once"
    )
    traffic: str | None = Field(
        None, description='recorded: JSONL file of {"input", "output"} rows; relative to apprentice.yaml'
    )
    simulation: Simulation = Simulation.model_construct()


class RemoteSettings(ProviderSettings):
    """The remote model that teaches, and others for diversity and fallback."""

    additional_providers: list[ProviderSettings] = []


class LocalSettings(Settings):
    """The local model and how it is trained."""

    backend: Literal["embedded"] = "embedded"
    base_model: str | None = Field(None, description="what is fine-tuned; the embedded model has none")
    fine_tune_backend: Literal["embedded"] = "embedded"
    fine_tune_batch_size: int = Field(100, ge=1, description="new examples that start a fine-tune")
    fine_tune_growth: float = Field(0.2, ge=0, description="... but at least this share of the last training set")
    retrain_every: Duration | None = Field(
        None, description="also retrain after this time (7d, 12h), if there are new examples"
    )
    model_dir: str = Field("./models/", description="where versions are kept; relative to apprentice.yaml")
    holdout_fraction: float = Field(0.2, gt=0, le=0.5, description="share of inputs that are never trained on")
    timeout_seconds: float = Field(10.0, gt=0, description="for one local answer")
    training_timeout: Duration = Field(timedelta(hours=6), description="for one training job")


class SamplingSettings(Settings):
    """How often the local model is checked against the remote one, once it serves."""

    decay_function: Literal["linear", "exponential", "step"] = "exponential"
    min_floor: float = Field(0.02, gt=0, le=1, description="never check less than this share of requests")
    window_size: int = Field(100, ge=20, le=1000, description="comparisons that the correlation is taken over")
    trend_sensitivity: Fraction = Field(0.05, description="change of correlation that moves the rate")


class BudgetSettings(Settings):
    """Caps on what remote calls may cost. None is no cap."""

    daily: Cap | None = None
    weekly: Cap | None = None
    monthly: Cap | None = None
    currency: str = Field("USD", pattern=r"^[A-Z]{3}$")
    timezone: str = Field("UTC", description="IANA name; where days, weeks (from Monday) and months begin")
    on_exhausted: Literal["local", "reject"] = Field(
        "local", description="no room for a remote answer: the local model stands in (degraded), or the request fails"
    )
    coaching_share: Fraction = Field(
        0.9, description="of a cap; the rest is kept for requests that only the remote model can answer"
    )


class CacheSettings(Settings):
    """Whether an input that was answered before is answered by the same answer, without a new call."""

    ttl: Duration | None = Field(None, description="how long a remote answer may be reused, such as 1h; None is never")


class StoreSettings(Settings):
    """Where examples, the journal of paid calls and comparisons are kept."""

    url: str = Field(
        "sqlite:///apprentice.db",
        description="sqlite:///FILE, relative to apprentice.yaml, or postgresql://USER@HOST/DATABASE (extra "
        "`postgres`; PGPASSWORD or ~/.pgpass can hold the password)",
    )
    retention: Annotated[Duration, Field(ge=timedelta(days=1))] | None = Field(
        None,
        description="how long answered calls and comparisons are kept, at least 1d; None is for ever. A forgotten "
        "request id is a new request. Examples, and calls whose outcome is unknown, are always kept",
    )


class AlertSettings(Settings):
    """Who is told about quality, budget and training trouble, besides `status` and the Web UI."""

    webhook_env: str | None = Field(
        None, description="name of the environment variable that holds a URL to POST alerts to"
    )


class TemporalSettings(Settings):
    """Where our workflows run. The connection comes from TEMPORAL_ADDRESS and the other standard settings."""

    task_queue: str = Field("apprentice", min_length=1)
    encryption_key_env: str | None = Field(
        None, description="name of the environment variable that holds the keys: inputs and outputs are encrypted"
    )
    codec_token_env: str | None = Field(
        None, description="name of the environment variable that holds the password of `apprentice codec-server`"
    )
    payload_storage: str = Field(
        ".apprentice/payloads",
        min_length=1,
        description="where large inputs and outputs are kept: a folder (relative to apprentice.yaml), or "
        "s3://bucket/prefix; every client and worker has to reach it",
    )
    payload_endpoint: str | None = Field(
        None, pattern=r"^https?://\S+$", description="of an S3-compatible service; None is AWS itself"
    )
    payload_retention: Duration = Field(
        timedelta(days=30), description="kept at least this long, and as long as a workflow run may need it"
    )
    max_payload: RequestBytes = Field(1024 * 1024, description="the largest request, in bytes (512KiB, 1MiB)")


class TaskSettings(Settings):
    """One task, resolved."""

    name: str = Field(pattern=TASK_NAME)
    description: str = ""
    schema_version: int = Field(
        1, ge=1, description="raise it when a schema changes: examples of other versions are kept apart"
    )
    input_schema: dict[str, Any]
    output_schema: dict[str, Any]
    evaluator: str = "exact_match"
    match_fields: list[str] = []
    evaluator_options: EvaluatorOptions = EvaluatorOptions.model_construct()
    confidence_thresholds: ConfidenceThresholds = ConfidenceThresholds.model_construct()
    remote: RemoteSettings
    local: LocalSettings = LocalSettings.model_construct()
    sampling: SamplingSettings = SamplingSettings.model_construct()
    budget: BudgetSettings = BudgetSettings.model_construct()
    shared_budget: str | None = Field(
        None, description="workflow id of the budget that all tasks draw from; set where the file has top-level caps"
    )
    cache: CacheSettings = CacheSettings.model_construct()
    alerts: AlertSettings = AlertSettings.model_construct()
    holdout_salt: str = Field(
        "apprentice", description="of the hash that puts an input into the hold-out set; never change it"
    )

    @property
    def digest(self) -> str:
        """Content hash, 16 hex digits: names these settings in the store and in activity inputs."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:16]


class Config(Settings):
    """All of `apprentice.yaml`, resolved."""

    tasks: list[TaskSettings] = Field(min_length=1)
    budget: BudgetSettings | None = Field(None, description="caps on what all tasks together may spend")
    store: StoreSettings = StoreSettings.model_construct()
    temporal: TemporalSettings = TemporalSettings.model_construct()

    def task(self, name: str) -> TaskSettings:
        """The settings of one task. Raises KeyError."""
        for task in self.tasks:
            if task.name == name:
                return task
        raise KeyError(name)

    def alone(self, name: str) -> TaskSettings:
        """The settings of one task where no other runs: of each cap, its own or that of all, the smaller counts.

        Raises KeyError.
        """
        task = self.task(name)
        caps = {}
        for period in ("daily", "weekly", "monthly"):
            both = [getattr(budget, period) for budget in (task.budget, self.budget) if budget is not None]
            caps[period] = min((cap for cap in both if cap is not None), default=None)
        budget = task.budget.model_copy(update=caps)
        return task.model_copy(update={"budget": budget, "shared_budget": None})
