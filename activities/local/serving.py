"""The local models that this worker serves, one for each task and model folder, kept warm."""

from activities.local.model import LocalModel
from activities.local.registry import LOCAL_MODELS
from apprentice.settings import TaskSettings

MATTERS = {"name", "description", "input_schema", "output_schema", "prompt", "local"}
"""What a model, or what it is told, depends on."""


class LocalModels:
    """Makes each model once. Settings that change nothing about the model share it."""

    def __init__(self) -> None:
        self._models: dict[str, LocalModel] = {}

    def of(self, settings: TaskSettings) -> LocalModel:
        """The model that serves this task."""
        key = settings.model_dump_json(include=MATTERS)
        if key not in self._models:
            self._models[key] = LOCAL_MODELS[settings.local.backend](settings)
        return self._models[key]
