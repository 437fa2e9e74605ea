"""Local models by the name that `backend:` gives them."""

from collections.abc import Callable

from activities.local.embedded.adapter import Embedded
from activities.local.model import LocalModel
from activities.local.ollama import Ollama
from apprentice.settings import TaskSettings

LOCAL_MODELS: dict[str, Callable[[TaskSettings], LocalModel]] = {
    "embedded": Embedded,
    "ollama": Ollama,
}
