"""Remote models by the name that `provider:` gives them."""

from collections.abc import Callable

from activities.remote.dialect import Dialect
from activities.remote.http_model import HttpModel
from activities.remote.model import RemoteModel
from activities.remote.openai import OpenAI
from activities.remote.openai_compatible import OpenAICompatible
from activities.remote.recorded import Recorded
from activities.remote.simulated import Simulated
from apprentice.settings import ProviderSettings, TaskSettings

DIALECTS: dict[str, Callable[[ProviderSettings, TaskSettings], Dialect]] = {
    "openai": OpenAI,
    "openai_compatible": OpenAICompatible,
}

REMOTE_MODELS: dict[str, Callable[[ProviderSettings, TaskSettings], RemoteModel]] = {
    "recorded": Recorded,
    "simulated": Simulated,
}


def remote_model(provider: ProviderSettings, task: TaskSettings) -> RemoteModel:
    """The model that these settings describe. Raises InvalidRequest if they are not enough for it."""
    if (dialect := DIALECTS.get(provider.provider)) is not None:
        return HttpModel(provider, dialect(provider, task))
    return REMOTE_MODELS[provider.provider](provider, task)
