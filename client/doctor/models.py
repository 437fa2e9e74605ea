"""The models of a configuration: those that teach, those that learn."""

from collections.abc import Iterator

from activities.local.model import ModelUnavailable
from activities.local.serving import LocalModels
from activities.remote.errors import RemoteError
from activities.remote.registry import remote_model
from apprentice.settings import Config, ProviderSettings, TaskSettings
from client.doctor.findings import Finding, found


def providers(config: Config) -> Iterator[tuple[str, TaskSettings, ProviderSettings]]:
    """Every remote model once, however many tasks ask it, with a task that does."""
    seen = set()
    for task in config.tasks:
        for provider in task.remote.providers:
            account = (provider.provider, provider.base_url, provider.key_variable, provider.model, provider.traffic)
            if account not in seen:
                seen.add(account)
                yield f"{provider.provider} {provider.model}", task, provider


async def remote(subject: str, task: TaskSettings, provider: ProviderSettings) -> Finding:
    """Address, key and model of a provider, without paying."""

    async def check() -> str:
        await remote_model(provider, task).check()
        return _price(provider, task.budget.currency)

    return await found(subject, check(), RemoteError)


def _price(provider: ProviderSettings, currency: str) -> str:
    price = provider.price
    if price is None:
        return "answers"
    tokens = f"{price.input_per_million:f} in, {price.output_per_million:f} out"
    return f"answers; {currency} for a million tokens: {tokens}"


def servers(config: Config) -> Iterator[tuple[str, TaskSettings]]:
    """Every local model server once; the embedded model of each task."""
    seen = set()
    for task in config.tasks:
        local = task.local
        own = task.name if local.backend == "embedded" else (local.base_url, local.base_model)
        if (local.backend, own) not in seen:
            seen.add((local.backend, own))
            yield (
                f"{local.backend} {local.base_model}" if local.base_model else f"{local.backend} for {task.name}",
                task,
            )


async def local(subject: str, task: TaskSettings) -> Finding:
    """A local model server, and the base model in it."""
    return await found(subject, LocalModels().of(task).check(), ModelUnavailable)
