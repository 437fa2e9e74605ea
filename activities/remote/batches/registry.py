"""Batch APIs by the name that `provider:` gives them. Those that have one are `apprentice.batching.PROVIDERS`."""

from collections.abc import Callable

from activities.remote import registry
from activities.remote.batches.anthropic import AnthropicBatches
from activities.remote.batches.api import BatchApi
from activities.remote.batches.openai import OpenAIBatches
from activities.remote.batches.stand_in import StandInBatches
from activities.remote.dialect import Dialect
from activities.remote.errors import InvalidRequest
from apprentice.settings import ProviderSettings, TaskSettings

OVER_HTTP: dict[str, Callable[[ProviderSettings, Dialect], BatchApi]] = {
    "anthropic": AnthropicBatches,
    "openai": OpenAIBatches,
}
STAND_INS = ("recorded", "simulated")


def batch_api(provider: ProviderSettings, task: TaskSettings) -> BatchApi:
    """The batch API of the model that these settings describe. Raises InvalidRequest where it has none."""
    if provider.provider in STAND_INS:
        # It takes its time for the whole batch, not again for each question.
        at_once = provider.simulation.model_copy(update={"latency_seconds": 0.0, "error_rate": 0.0})
        model = registry.remote_model(provider.model_copy(update={"simulation": at_once}), task)
        return StandInBatches(provider, model)
    if provider.provider not in OVER_HTTP or provider.provider not in registry.DIALECTS:
        raise InvalidRequest(f"the provider {provider.provider} has no batch API here; set `remote.batch: false`")
    return OVER_HTTP[provider.provider](provider, registry.DIALECTS[provider.provider](provider, task))
