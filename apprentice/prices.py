"""What a remote call costs: prices, the cost of a call that was made, the upper bound of one that will be.

Prices come from `price:` in the configuration or else from the public price list of the `genai-prices` package.
`apprentice.config` writes the price it found into the settings, so that a workflow replays with the price it
decided with, whatever list is installed later. Pure: no clock, no network.
"""

import difflib
import json
from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from apprentice import prompts
from apprentice.schema import compile_schema
from apprentice.settings import Price, PriceTier, ProviderSettings, TaskSettings

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice, Provider, TieredPrices

LIST_CURRENCY = "USD"
MILLION = Decimal(1_000_000)
# For what is in a call besides the task itself: our instruction text, role markers, and the prompt that providers
# add of their own when an answer has to follow a schema (a few hundred tokens).
OVERHEAD_TOKENS = 1024
# What the instructions around an input typically come to; for models that have no wire, and for forecasts.
PROMPT_TOKENS = 64
# These stand in for a model of any provider, so its name is looked up in all of them.
STAND_INS = frozenset({"simulated", "recorded"})


class Usage(NamedTuple):
    """Tokens of one call, as its provider counted them, in one way of counting for all providers.

    `input` is everything that was read: what came from the provider's cache (`cached`) and what was written to it
    (`cache_writes`) are parts of it. `output` is everything that was written, `reasoning` (never seen by anyone) part
    of it.
    """

    input: int
    output: int
    cached: int = 0
    cache_writes: int = 0
    reasoning: int = 0


def price_of(settings: ProviderSettings) -> Price | None:
    """The price of one remote model, or None if nobody states it.

    `settings.price` wins. From the list, the latest dated price is taken (an announced rise counts already), the
    dearest hour of the day: it may err upwards, never to free.
    """
    if settings.price is not None:
        return settings.price
    return _listed(settings.model, None if settings.provider in STAND_INS else settings.provider)


def known(settings: ProviderSettings) -> Price:
    """The price of one remote model. Raises ValueError where nobody states it."""
    price = price_of(settings)
    if price is None:
        raise ValueError(f"no price is known for the model {settings.model!r}: set `price:` for it")
    return price


def similar_models(model: str) -> list[str]:
    """At most three names from the price list that look like `model`, nearest first."""
    names = {info.id for provider in _providers() for info in provider.models if _price(info) is not None}
    return difflib.get_close_matches(model.lower(), sorted(names), n=3)


def cost(price: Price, usage: Usage, *, batch: bool = False) -> Decimal:
    """The exact cost of a call, in the price's currency. Raises ValueError for a negative count.

    `batch`: it went through the provider's batch API, at its discount.
    """
    plain = usage.input - usage.cached - usage.cache_writes
    if min(plain, *usage) < 0:
        raise ValueError("token counts cannot be negative")
    rate: Price | PriceTier = price
    for tier in sorted(price.tiers, key=lambda tier: tier.above_input_tokens):
        if usage.input > tier.above_input_tokens:
            rate = tier
    cached, written = _cache_rates(price, rate)
    tokens = (
        rate.input_per_million * plain
        + cached * usage.cached
        + written * usage.cache_writes
        + rate.output_per_million * usage.output
    )
    whole = price.per_request + tokens / MILLION
    return whole * (1 - Decimal(str(price.batch_discount))) if batch else whole


def upper_bound(price: Price, input_tokens: int, max_output_tokens: int) -> Decimal:
    """The most that a call with at most these many tokens can cost, in the price's currency.

    Takes the dearest tier that the input can reach, so it also bounds a list whose long calls are cheaper; and the
    dearest way to read it, which where a provider charges for writing its cache is that.
    """
    reachable: list[Price | PriceTier] = [
        price,
        *(tier for tier in price.tiers if tier.above_input_tokens < input_tokens),
    ]
    dearest = price.model_copy(
        update={
            "input_per_million": max(max(rate.input_per_million, *_cache_rates(price, rate)) for rate in reachable),
            "output_per_million": max(rate.output_per_million for rate in reachable),
            "cached_input_per_million": None,
            "cache_write_per_million": None,
            "tiers": [],
        }
    )
    return cost(dearest, Usage(input_tokens, max_output_tokens))


def _cache_rates(price: Price, rate: Price | PriceTier) -> tuple[Decimal, Decimal]:
    """What a million tokens cost that were read from the provider's cache, and that were written to it."""
    plain = rate.input_per_million
    cached, written = (
        next((one for one in ours if one is not None), plain)
        for ours in (
            (rate.cached_input_per_million, price.cached_input_per_million),
            (rate.cache_write_per_million, price.cache_write_per_million),
        )
    )
    return cached, written


def estimate_tokens(text: str) -> int:
    """An upper bound of the tokens of `text`: its length in UTF-8 bytes.

    Every token of a byte-level or byte-fallback tokenizer stands for at least one byte of its input, so no such
    tokenizer (BPE, SentencePiece, tiktoken) makes more tokens than bytes. What a provider adds is not in it.
    """
    return len(text.encode("utf-8", "surrogatepass"))


def typical_tokens(text: str) -> int:
    """About how many tokens `text` has: four characters each, as in English prose. For forecasts, never for caps."""
    return -(-len(text) // 4)


def reservation(task: TaskSettings, input: dict[str, Any]) -> Decimal:
    """What to set aside before a remote call of this task: the upper bound of the dearest configured provider.

    Counts the very prompt that will be sent, and the output schema, plus `OVERHEAD_TOKENS`. Raises ValueError if a
    provider has no known price.
    """
    # A token stands for at least one byte of what is sent; see `estimate_tokens`.
    tokens = OVERHEAD_TOKENS + prompts.length(task, input)
    return max(bound(settings, tokens) for settings in task.remote.providers)


def reservation_before_0_3(task: TaskSettings, input: dict[str, Any]) -> Decimal:
    """What runs that began before 0.3 set aside: they must decide on replay as they did."""
    schemas = [compile_schema(spec).json_schema() for spec in (task.input_schema, task.output_schema)]
    about = json.dumps([task.name, task.description, input])
    tokens = OVERHEAD_TOKENS + estimate_tokens(about) + 2 * sum(estimate_tokens(json.dumps(one)) for one in schemas)
    return max(bound(settings, tokens) for settings in task.remote.providers)


def bound(settings: ProviderSettings, input_tokens: int) -> Decimal:
    """The most that one call of this model can cost. Raises ValueError if it has no known price."""
    return upper_bound(known(settings), input_tokens, settings.max_output_tokens)


# --- the public list -------------------------------------------------------------------------------------------


@cache
def _providers() -> "list[Provider]":
    from genai_prices.data import providers  # 1.6 MB of prices: 0.7 s that only configuration loading should pay

    return providers


@cache
def _listed(model: str, provider: str | None) -> Price | None:
    found = [price for info in _candidates(model.lower(), provider) if (price := _price(info)) is not None]
    return max(found, key=lambda price: price.input_per_million + price.output_per_million, default=None)


def _candidates(model: str, provider: str | None) -> "Iterator[ModelInfo]":
    """The named provider's model; else the model of the provider that makes it; else everyone who offers it."""
    everyone = _providers()
    if provider is not None:
        chosen = [one for one in everyone if one.id == provider]
    else:
        chosen = [one for one in everyone if one.model_match is not None and one.model_match.is_match(model)][:1]
    for one in chosen or everyone:
        info = one.find_model(model, all_providers=everyone if chosen else None)
        if info is not None:
            yield info


def _price(info: "ModelInfo") -> Price | None:
    prices = [price for one in _in_force(info) if (price := _converted(one)) is not None]
    return max(prices, key=lambda price: price.input_per_million + price.output_per_million, default=None)


def _in_force(info: "ModelInfo") -> "Iterator[ModelPrice]":
    from genai_prices.types import TimeOfDateConstraint

    if not isinstance(info.prices, list):
        yield info.prices
        return
    for conditional in reversed(info.prices):
        yield conditional.prices
        if not isinstance(conditional.constraint, TimeOfDateConstraint):
            return


def _converted(listed: "ModelPrice") -> Price | None:
    if listed.input_mtok is None or listed.output_mtok is None:
        return None
    columns = {
        "input_per_million": listed.input_mtok,
        "output_per_million": listed.output_mtok,
        "cached_input_per_million": listed.cache_read_mtok,
        "cache_write_per_million": listed.cache_write_mtok,
    }
    found = {name: column for name, column in columns.items() if column is not None}
    requests = listed.requests_kcount
    return Price.model_validate(
        {
            **_row(found, 0),
            "per_request": Decimal(0) if requests is None else _at(requests, 0) / 1000,
            "tiers": [
                {"above_input_tokens": start, **_row(found, start + 1)}
                for start in sorted({start for column in found.values() for start in _starts(column)})
            ],
        }
    )


def _row(columns: "dict[str, Decimal | TieredPrices]", input_tokens: int) -> dict[str, Decimal]:
    return {name: _at(column, input_tokens) for name, column in columns.items()}


def _starts(price: "Decimal | TieredPrices") -> list[int]:
    return [] if isinstance(price, Decimal) else [tier.start for tier in price.tiers]


def _at(price: "Decimal | TieredPrices", input_tokens: int) -> Decimal:
    if isinstance(price, Decimal):
        return price
    return next((tier.price for tier in reversed(price.tiers) if input_tokens > tier.start), price.base)
