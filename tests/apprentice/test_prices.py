"""What remote calls cost, and what is set aside for them."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apprentice.prices import (
    OVERHEAD_TOKENS,
    Usage,
    cost,
    estimate_tokens,
    price_of,
    reservation,
    similar_models,
    typical_tokens,
    upper_bound,
)
from apprentice.schema import compile_schema
from apprentice.settings import Price, PriceTier, ProviderSettings, RemoteSettings, TaskSettings

rates = st.decimals(0, 100, places=3)
columns = {
    "input_per_million": rates,
    "output_per_million": rates,
    "cached_input_per_million": st.none() | rates,
    "cache_write_per_million": st.none() | rates,
}
prices = st.builds(
    Price,
    **columns,
    per_request=rates,
    tiers=st.lists(st.builds(PriceTier, above_input_tokens=st.integers(1, 500), **columns), max_size=3),
)
counts = st.integers(0, 1_000)


def simulated(model: str, price: Price | None = None) -> ProviderSettings:
    return ProviderSettings(provider="simulated", model=model, price=price)


@pytest.mark.parametrize("model", ["claude-sonnet-4-5", "claude-sonnet-4-5-20250929", "Claude-Sonnet-4-5"])
def test_the_list_knows_a_model_by_its_names(model: str) -> None:
    price = price_of(simulated(model))
    assert price is not None
    assert (price.input_per_million, price.output_per_million) == (Decimal(3), Decimal(15))


def test_the_price_of_a_long_call_is_that_of_its_tier() -> None:
    price = price_of(simulated("claude-sonnet-4-5"))
    assert price is not None
    assert cost(price, Usage(200_000, 0)) == Decimal("0.6")
    assert cost(price, Usage(200_001, 0)) == Decimal("1.200006")


def test_cached_input_has_the_lists_price_in_every_tier() -> None:
    price = price_of(simulated("claude-sonnet-4-5"))
    assert price is not None
    assert (price.cached_input_per_million, price.cache_write_per_million) == (Decimal("0.3"), Decimal("3.75"))
    # 100,000 tokens: 20,000 at $3, 70,000 from the cache at $0.30, 10,000 written to it at $3.75
    assert cost(price, Usage(100_000, 0, cached=70_000, cache_writes=10_000)) == Decimal("0.1185")
    # 300,000 tokens are above the tier's 200,000, where all three cost twice as much: 60,000, 210,000 and 30,000
    assert cost(price, Usage(300_000, 0, cached=210_000, cache_writes=30_000)) == Decimal("0.711")
    assert upper_bound(price, 300_000, 0) == Decimal("2.25")


def test_a_tier_that_names_no_price_for_cached_input_takes_that_of_shorter_calls() -> None:
    tier = PriceTier(above_input_tokens=10, input_per_million=Decimal(8), output_per_million=Decimal(9))
    price = Price(input_per_million=Decimal(4), cached_input_per_million=Decimal(1), tiers=[tier])
    assert cost(price, Usage(1_000_000, 0, cached=1_000_000)) == 1
    assert cost(price, Usage(1_000_000, 0, cache_writes=1_000_000)) == 8


def test_a_list_without_a_price_for_cached_input_gives_no_discount() -> None:
    price = price_of(simulated("gpt-5.2-pro"))
    assert price is not None
    assert cost(price, Usage(1_000, 0, cached=1_000)) == cost(price, Usage(1_000, 0))


def test_the_dearest_hour_of_the_day_counts() -> None:
    price = price_of(simulated("deepseek-chat"))
    assert price is not None
    assert (price.input_per_million, price.output_per_million) == (Decimal("0.27"), Decimal("1.1"))


@pytest.mark.parametrize("model", ["", "no-such-model", "claude-sonet-4-5", "gpt-4oo", "text-embedding-3-small"])
def test_a_model_without_a_price_for_answers_is_never_free(model: str) -> None:
    assert price_of(ProviderSettings.model_construct(provider="simulated", model=model, price=None)) is None


def test_a_stated_price_wins_over_the_list() -> None:
    ours = Price(input_per_million=Decimal(1))
    assert price_of(simulated("claude-sonnet-4-5", ours)) is ours


def test_a_misspelt_model_has_neighbours() -> None:
    assert similar_models("claude-sonet-4-5")[0] == "claude-sonnet-4-5"


def test_costs_are_exact() -> None:
    price = Price(input_per_million=Decimal("0.1"), output_per_million=Decimal("0.2"), per_request=Decimal("0.001"))
    assert cost(price, Usage(3, 1)) == Decimal("0.0010005")
    with pytest.raises(ValueError, match="negative"):
        cost(price, Usage(-1, 0))


@given(prices, counts, counts, st.data())
def test_no_call_costs_more_than_the_upper_bound(price: Price, n: int, m: int, data: st.DataObject) -> None:
    read, written = data.draw(st.integers(0, n)), data.draw(st.integers(0, m))
    cached = data.draw(st.integers(0, read))
    usage = Usage(read, written, cached, data.draw(st.integers(0, read - cached)), data.draw(st.integers(0, written)))
    assert cost(price, usage) <= upper_bound(price, n, m)
    assert cost(price, usage, batch=True) <= upper_bound(price, n, m)


@given(prices, counts, counts)
def test_the_bound_of_a_price_without_tiers_and_caches_is_its_cost(price: Price, n: int, m: int) -> None:
    flat = price.model_copy(update={"tiers": [], "cached_input_per_million": None, "cache_write_per_million": None})
    assert upper_bound(flat, n, m) == cost(flat, Usage(n, m))


@given(st.text(), st.text())
def test_bytes_bound_tokens_and_add_up(one: str, other: str) -> None:
    assert estimate_tokens(one + other) == estimate_tokens(one) + estimate_tokens(other)
    assert typical_tokens(one) <= estimate_tokens(one)


def test_tokens_of_half_a_surrogate_pair_are_counted_not_a_crash() -> None:
    assert estimate_tokens("\ud800") == 3


def task(*models: str) -> TaskSettings:
    first, *others = models
    return TaskSettings(
        name="a",
        description="Sort the post",
        input_schema={"text": "str"},
        output_schema={"kind": ["letter", "parcel"]},
        remote=RemoteSettings(
            provider="simulated", model=first, additional_providers=[simulated(model) for model in others]
        ),
    )


@given(st.text(max_size=200))
def test_a_reservation_covers_any_way_of_writing_the_prompt(text: str) -> None:
    settings = task("claude-sonnet-4-5")
    price = price_of(settings.remote)
    assert price is not None
    schema = compile_schema(settings.output_schema).json_schema()
    for ascii_only in (False, True):
        prompt = settings.description + json.dumps([schema, {"text": text}], ensure_ascii=ascii_only)
        tokens = estimate_tokens(prompt) + OVERHEAD_TOKENS
        assert cost(price, Usage(tokens, settings.remote.max_output_tokens)) <= reservation(settings, {"text": text})


def test_a_reservation_is_for_the_dearest_provider() -> None:
    assert reservation(task("gpt-4o-mini", "claude-sonnet-4-5"), {}) == reservation(task("claude-sonnet-4-5"), {})


def test_nothing_is_reserved_for_a_model_without_a_price() -> None:
    with pytest.raises(ValueError, match="no price is known for the model 'no-such-model'"):
        reservation(task("no-such-model"), {})
