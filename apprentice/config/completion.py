"""What the rest of the program should not have to look up: absolute paths, and the price of every model."""

import os.path
from pathlib import Path

from apprentice.prices import price_of
from apprentice.settings import LocalSettings, ProviderSettings, StoreSettings, TaskSettings, TemporalSettings


def complete(task: TaskSettings, folder: Path) -> TaskSettings:
    """The task with its paths made absolute from `folder`, and the price list's price where it states none."""
    extra = [_complete_provider(provider, folder) for provider in task.remote.additional_providers]
    remote = _complete_provider(task.remote, folder).model_copy(update={"additional_providers": extra})
    return task.model_copy(update={"remote": remote, "local": _complete_local(task.local, folder)})


def _complete_local(local: LocalSettings, folder: Path) -> LocalSettings:
    """A base model of llama.cpp's is a file, if it is called so, embedded's a folder, with a dot first; else a name."""
    base = local.base_model
    named = local.backend == "llama_cpp" and base and base.endswith(".gguf")
    if base and (named or (local.backend == "embedded" and base.startswith("."))):
        base = _absolute(folder, base)
    return local.model_copy(update={"model_dir": _absolute(folder, local.model_dir), "base_model": base})


def _complete_provider[P: ProviderSettings](provider: P, folder: Path) -> P:
    traffic = None if provider.traffic is None else _absolute(folder, provider.traffic)
    return provider.model_copy(update={"price": price_of(provider), "traffic": traffic})


def complete_store(store: StoreSettings, folder: Path) -> StoreSettings:
    """The store with the path of an SQLite file made absolute from `folder`; any other URL as it is."""
    scheme, separator, rest = store.url.partition(":///")
    path, question, query = rest.partition("?")
    if not scheme.startswith("sqlite") or not separator or not path or path.startswith((":memory:", "file:")):
        return store
    return store.model_copy(update={"url": f"{scheme}:///{_absolute(folder, path)}{question}{query}"})


def complete_temporal(temporal: TemporalSettings, folder: Path) -> TemporalSettings:
    """The settings with a storage folder made absolute from `folder`; a bucket as it is."""
    place = temporal.payload_storage.removeprefix("file://")
    if "://" in place:
        return temporal
    return temporal.model_copy(update={"payload_storage": _absolute(folder, place)})


def _absolute(folder: Path, path: str) -> str:
    return os.path.normpath(folder / path)
