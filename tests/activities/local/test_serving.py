"""Which local models a worker keeps."""

import asyncio
from typing import Any

import pytest

from activities.local.registry import LOCAL_MODELS
from activities.local.serving import KEPT, LocalModels
from apprentice.messages import Answer
from apprentice.settings import TaskSettings


class Model:
    """Holds memory until it is closed."""

    open: list["Model"]

    def __init__(self, settings: TaskSettings) -> None:
        self.folder = settings.local.model_dir
        Model.open.append(self)

    async def close(self) -> None:
        Model.open.remove(self)

    async def answer(self, input: dict[str, Any], version: int) -> Answer:
        raise NotImplementedError

    async def load(self, version: int) -> None: ...

    async def unload(self, version: int) -> None: ...

    async def healthy(self) -> bool:
        return True

    async def check(self) -> str:
        return ""


def settings(name: str, folder: str) -> TaskSettings:
    return TaskSettings.model_validate(
        {
            "name": name,
            "input_schema": {"text": "str"},
            "output_schema": {"category": "str"},
            "remote": {"provider": "simulated", "model": "teacher", "price": {}},
            "local": {"model_dir": folder},
        }
    )


@pytest.fixture(autouse=True)
def registry(monkeypatch: pytest.MonkeyPatch) -> None:
    Model.open = []
    monkeypatch.setitem(LOCAL_MODELS, "embedded", Model)


async def test_what_older_settings_had_loaded_is_let_go_of() -> None:
    """Each `apply` may bring other settings: processes and memory must not pile up."""
    models = LocalModels()
    other = models.of(settings("other", "kept"))
    for number in range(10):
        models.of(settings("tickets", f"folder {number}"))
        await asyncio.sleep(0)
    kept = [model.folder for model in Model.open]
    assert kept == ["kept", *(f"folder {number}" for number in range(10 - KEPT, 10))]
    assert models.of(settings("other", "kept")) is other


async def test_settings_that_change_nothing_about_the_model_share_it() -> None:
    models, ours = LocalModels(), settings("tickets", "one")
    cheaper = ours.model_copy(update={"budget": ours.budget.model_copy(update={"currency": "EUR"})})
    assert models.of(ours) is models.of(cheaper)
    assert len(Model.open) == 1
