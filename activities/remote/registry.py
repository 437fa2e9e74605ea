"""Remote models by the name that `provider:` gives them."""

from collections.abc import Callable

from activities.remote.model import RemoteModel
from activities.remote.openai_compatible import OpenAICompatible
from activities.remote.recorded import Recorded
from activities.remote.simulated import Simulated
from apprentice.settings import ProviderSettings, TaskSettings

REMOTE_MODELS: dict[str, Callable[[ProviderSettings, TaskSettings], RemoteModel]] = {
    "openai_compatible": OpenAICompatible,
    "recorded": Recorded,
    "simulated": Simulated,
}
