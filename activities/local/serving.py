"""The local models that this worker serves, one for each task and model folder, kept warm."""

import asyncio
from collections import OrderedDict

from activities.local.model import LocalModel
from activities.local.registry import LOCAL_MODELS
from apprentice.settings import TaskSettings

MATTERS = {"name", "description", "input_schema", "output_schema", "prompt", "local"}
"""What a model, or what it is told, depends on."""
KEPT = 2
"""Of one task: the settings in force, and those that requests in flight began with."""


class LocalModels:
    """Makes each model once. Settings that change nothing about the model share it."""

    def __init__(self) -> None:
        self._models: dict[str, OrderedDict[str, LocalModel]] = {}
        self._leaving: set[asyncio.Task[None]] = set()

    def of(self, settings: TaskSettings) -> LocalModel:
        """The model that serves this task. What older settings had loaded is let go of, once nobody uses it."""
        models = self._models.setdefault(settings.name, OrderedDict())
        key = settings.model_dump_json(include=MATTERS)
        if key not in models:
            models[key] = LOCAL_MODELS[settings.local.backend](settings)
        models.move_to_end(key)
        while len(models) > KEPT:
            _, older = models.popitem(last=False)
            leaving = asyncio.create_task(older.close())
            self._leaving.add(leaving)
            leaving.add_done_callback(self._leaving.discard)
        return models[key]
