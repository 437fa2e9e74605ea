"""The remote models: who is asked, at what price, how it behaves."""

from datetime import timedelta
from decimal import Decimal
from typing import Literal

from pydantic import Field

from apprentice.settings.base import Cap, Duration, Fraction, Settings


class PriceTier(Settings):
    """Another price for all tokens of a call whose input is longer than `above_input_tokens`."""

    above_input_tokens: int = Field(ge=1)
    input_per_million: Cap
    output_per_million: Cap
    cached_input_per_million: Cap | None = Field(None, description="None: as in shorter calls")
    cache_write_per_million: Cap | None = Field(None, description="None: as in shorter calls")


class Price(Settings):
    """What a remote call costs, in the budget's currency. Needed for a model that the price list does not know."""

    input_per_million: Cap = Field(Decimal(0), description="for a million input tokens")
    output_per_million: Cap = Field(Decimal(0), description="for a million output tokens")
    per_request: Cap = Field(Decimal(0), description="for each request, besides tokens")
    cached_input_per_million: Cap | None = Field(
        None, description="for input that the provider read from its cache; None is input_per_million"
    )
    cache_write_per_million: Cap | None = Field(
        None, description="for input that the provider wrote to its cache; None is input_per_million"
    )
    batch_discount: Fraction = Field(0.5, description="taken off everything that goes through the batch API")
    tiers: list[PriceTier] = Field([], description="prices of calls with a long input")


class Simulation(Settings):
    """How a `simulated` or `recorded` remote model behaves on the wire."""

    latency_seconds: float = Field(0.2, ge=0, le=600, description="median time to answer")
    latency_spread: float = Field(0.3, ge=0, le=3, description="sigma of the log-normal latency; 0 is constant")
    error_rate: Fraction = Field(0.0, description="share of attempts that fail with a retryable error")
    noise: Fraction = Field(0.0, description="share of answers that are wrong")
    seed: int = Field(0, description="of latency, errors and noise")
    batch_seconds: float = Field(30.0, ge=0, le=86_400, description="how long a batch takes (`remote.batch`)")


class RateLimits(Settings):
    """What a provider lets an account send, kept by all workers together. None is no limit of ours."""

    requests_per_minute: int | None = Field(None, ge=1)
    tokens_per_minute: int | None = Field(None, ge=1, description="input and output tokens together")


class VertexSettings(Settings):
    """Gemini through Vertex AI, with the Google credentials of the machine (extra `vertex`)."""

    project: str = Field(min_length=1)
    location: str = Field("global", pattern="^[a-z][a-z0-9-]{1,40}$", description="a region, us, eu, or global")


Provider = Literal["simulated", "recorded", "anthropic", "openai", "google", "openai_compatible"]

# Where a provider's own tools look for the key, in force if `api_key_env` is not set.
CUSTOMARY_KEYS = {"anthropic": "ANTHROPIC_API_KEY", "openai": "OPENAI_API_KEY", "google": "GEMINI_API_KEY"}


class ProviderSettings(Settings):
    """One remote model."""

    provider: Provider
    model: str = Field(min_length=1, description="the model's name, as its provider and the price list spell it")
    api_key_env: str | None = Field(
        None,
        description="name of the environment variable that holds the key; None is ANTHROPIC_API_KEY, OPENAI_API_KEY or "
        "GEMINI_API_KEY for these providers",
    )
    price: Price | None = Field(None, description="overrides the price list; filled in from the list by `config.load`")
    max_output_tokens: int = Field(512, ge=1, description="upper bound of an answer, thinking included")
    timeout_seconds: float = Field(60.0, gt=0, description="for one attempt")
    temperature: float | None = Field(None, ge=0, le=2, description="None leaves it to the provider")
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high"] | None = Field(
        None, description="how much a model that can think does so, within max_output_tokens; None: as it comes"
    )
    base_url: str | None = Field(
        None,
        description="what stands before the API's paths, such as http://localhost:8000/v1: openai_compatible needs it, "
        "for anthropic, openai and google it names a gateway",
    )
    idempotent: bool = Field(
        False, description="openai_compatible: the server answers and bills a repeated Idempotency-Key only once"
    )
    vertex: VertexSettings | None = Field(None, description="google: through Vertex AI instead of the Gemini API")
    rate_limits: RateLimits = RateLimits.model_construct()
    share: Fraction = Field(
        0.0, description="additional provider: share of the requests it answers first, for diverse training answers"
    )
    traffic: str | None = Field(
        None, description='recorded: JSONL file of {"input", "output"} rows; relative to apprentice.yaml'
    )
    simulation: Simulation = Simulation.model_construct()

    @property
    def key_variable(self) -> str | None:
        """The environment variable that holds the key; None where no key is needed."""
        if self.api_key_env is not None or self.vertex is not None:
            return self.api_key_env
        return CUSTOMARY_KEYS.get(self.provider)

    @property
    def keyless(self) -> bool:
        """Whether no key is sent. Vertex AI takes none, and has a token."""
        return self.key_variable is None and self.vertex is None


class RemoteSettings(ProviderSettings):
    """The remote model that teaches, and others for diversity and fallback."""

    additional_providers: list[ProviderSettings] = Field(
        [], description="asked in this order where the one before cannot answer; see `share` for diversity"
    )
    second_opinions: Fraction = Field(
        0.0,
        description="share of remote answers for which another provider is asked too, to see how far they agree",
    )
    batch: bool = Field(
        False, description="spot checks and backfill, which nobody waits for, go through the batch API at its discount"
    )
    batch_size: int = Field(100, ge=1, le=1000, description="questions that are collected for one batch, at most")
    batch_every: Duration = Field(
        timedelta(hours=1), description="a batch is sent this long after its first question at the latest"
    )

    @property
    def providers(self) -> list[ProviderSettings]:
        """All of them, the main one first."""
        return [self, *self.additional_providers]
