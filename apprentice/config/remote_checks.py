"""What every remote model needs: key, price, address, and nothing that it ignores."""

from decimal import Decimal

from apprentice import batching, prices, teachers, thinking
from apprentice.config.errors import Path as KeyPath
from apprentice.config.surroundings import Found, Surroundings, address, variable
from apprentice.settings import ProviderSettings, TaskSettings

SPEAKS_HTTP = ("anthropic", "openai", "google", "openai_compatible")


def providers(task: TaskSettings, around: Surroundings) -> Found:
    """Every remote model has its key, its price and its traffic."""
    yield from _provider(task.remote, task.budget.currency, ("remote",), around)
    for index, extra in enumerate(task.remote.additional_providers):
        yield from _provider(extra, task.budget.currency, ("remote", "additional_providers", index), around)


def shares(task: TaskSettings, around: Surroundings) -> Found:
    """Every share has somebody to go to, and together they are no more than all requests."""
    remote = task.remote
    if remote.share:
        yield ("remote", "share"), "the main provider takes what the others leave; set `share` on additional_providers"
    # As decimals: ten times 0.1 is one.
    whole = sum((Decimal(str(extra.share)) for extra in remote.additional_providers), Decimal(0))
    if whole > 1:
        yield ("remote", "additional_providers"), f"the shares of all together must not be above 1, they are {whole}"
    if remote.second_opinions and not remote.additional_providers:
        yield ("remote", "second_opinions"), "needs another provider to ask: add one to additional_providers"


def accounts(task: TaskSettings, around: Surroundings) -> Found:
    """No two providers are one account: they would share a model, and nobody could tell their calls apart."""
    known = {teachers.account(task.remote): "remote"}
    for index, extra in enumerate(task.remote.additional_providers):
        name = f"remote.additional_providers[{index}]"
        if (other := known.setdefault(teachers.account(extra), name)) != name:
            words = f"is the same account as {other}; choose another provider, model, base_url or api_key_env"
            yield ("remote", "additional_providers", index), words


def _provider(settings: ProviderSettings, currency: str, path: KeyPath, around: Surroundings) -> Found:
    yield from variable(settings.key_variable, (*path, "api_key_env"), around.environ)
    yield from _price(settings, currency, path)
    yield from _base_url(settings, path)
    yield from _rates(settings, path)
    yield from _thinking(settings, path)
    yield from _vertex(settings, path)
    if settings.idempotent and settings.provider != "openai_compatible":
        yield (*path, "idempotent"), f"has no effect with {settings.provider}; leave it out"
    if settings.provider == "recorded":
        if settings.traffic is None:
            yield path, "the provider `recorded` needs `traffic`, the file with the answers"
        elif not (around.folder / settings.traffic).is_file():
            yield (*path, "traffic"), f"there is no file {settings.traffic!r} (a relative path starts at the YAML file)"


def _rates(settings: ProviderSettings, path: KeyPath) -> Found:
    tokens = settings.rate_limits.tokens_per_minute
    if tokens is not None and tokens < settings.max_output_tokens:
        words = f"is below max_output_tokens, which is {settings.max_output_tokens}: no call would fit into a minute"
        yield (*path, "rate_limits", "tokens_per_minute"), words


def _base_url(settings: ProviderSettings, path: KeyPath) -> Found:
    if settings.provider not in SPEAKS_HTTP:
        if settings.base_url is not None:
            yield (*path, "base_url"), f"has no effect with {settings.provider}; leave it out"
        return
    if settings.base_url is None and settings.provider != "openai_compatible":
        return
    if settings.base_url is None:
        yield path, f"the provider `{settings.provider}` needs `base_url`, such as http://localhost:8000/v1"
        return
    yield from address(settings.base_url, (*path, "base_url"), "http://localhost:8000/v1 or https://models.example/v1")


def _thinking(settings: ProviderSettings, path: KeyPath) -> Found:
    if (found := thinking.problem(settings)) is not None:
        key, words = found
        yield (*path, key), words
    if settings.provider == "anthropic" and (settings.temperature or 0) > 1:
        yield (*path, "temperature"), "must not be above 1 with anthropic"


def _vertex(settings: ProviderSettings, path: KeyPath) -> Found:
    if settings.vertex is None:
        return
    if settings.provider != "google":
        yield (*path, "vertex"), f"has no effect with {settings.provider}; leave it out"
    elif settings.api_key_env is not None:
        yield (*path, "api_key_env"), "has no effect with vertex, which takes the machine's Google credentials"


def _price(settings: ProviderSettings, currency: str, path: KeyPath) -> Found:
    if settings.price is not None:
        if not settings.price.model_fields_set:
            yield (*path, "price"), "states no price: set input_per_million and output_per_million (0 if it is free)"
    elif prices.price_of(settings) is None:
        near = prices.similar_models(settings.model)
        hint = f"; did you mean {' or '.join(near)}? If not," if near else ";"
        words = f"no price is known for {settings.model[:60]!r}{hint} state it under `price`"
        yield (*path, "model"), words
    elif currency != prices.LIST_CURRENCY:
        words = f"the price list is in {prices.LIST_CURRENCY}, the budget in {currency}: state the price under `price`"
        yield (*path, "model"), words


def batch(task: TaskSettings, around: Surroundings) -> Found:
    """The main model, to which batches go, has a batch API."""
    remote = task.remote
    if remote.batch and remote.provider not in batching.PROVIDERS:
        yield (
            ("remote", "batch"),
            f"the provider {remote.provider} has no batch API that apprentice speaks (those that have: "
            f"{', '.join(batching.PROVIDERS)}); leave it out",
        )
    if remote.batch and task.allowance.remote_calls is not None:
        yield (
            ("remote", "batch"),
            "does not go with an `allowance`: each of its calls serves a request and teaches at once; leave one out",
        )
