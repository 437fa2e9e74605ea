"""Who is asked first, and who then."""

from collections import Counter
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from apprentice.settings import Price, ProviderSettings, RemoteSettings
from apprentice.teachers import account, order

FREE = Price(per_request=Decimal(0))


def remote(*shares: float) -> RemoteSettings:
    extras = [
        ProviderSettings(provider="simulated", model=f"extra{n}", price=FREE, share=share)
        for n, share in enumerate(shares)
    ]
    return RemoteSettings(provider="simulated", model="main", price=FREE, additional_providers=extras)


def models(settings: RemoteSettings, request_id: str) -> list[str]:
    return [provider.model for provider in order(settings, request_id)]


def test_without_shares_the_order_is_that_of_the_file() -> None:
    assert {tuple(models(remote(0, 0), f"r-{n}")) for n in range(100)} == {("main", "extra0", "extra1")}


def test_each_provider_is_first_for_its_share_and_the_main_one_for_the_rest() -> None:
    first = Counter(models(remote(0.25, 0.1), f"r-{n}")[0] for n in range(20_000))
    assert abs(first["extra0"] / 20_000 - 0.25) < 0.02
    assert abs(first["extra1"] / 20_000 - 0.1) < 0.02
    assert abs(first["main"] / 20_000 - 0.65) < 0.02


def test_the_main_provider_is_asked_next_after_the_one_whose_turn_it_was() -> None:
    assert models(remote(0, 1), "r-1") == ["extra1", "main", "extra0"]


@given(st.text(min_size=1, max_size=40), st.floats(0, 0.5), st.floats(0, 0.5))
def test_everybody_is_asked_once_and_every_attempt_asks_in_the_same_order(request_id: str, a: float, b: float) -> None:
    asked = models(remote(a, b), request_id)
    assert sorted(asked) == ["extra0", "extra1", "main"]
    assert models(remote(a, b), request_id) == asked


def test_an_account_is_the_address_the_key_and_the_model() -> None:
    one = ProviderSettings(provider="openai", model="m", base_url="http://a/v1", api_key_env="KEY")
    others = [one.model_copy(update=change) for change in ({"model": "n"}, {"base_url": None}, {"api_key_env": "K2"})]
    assert len({account(one), *map(account, others)}) == 4
    assert account(one) == account(one.model_copy(update={"timeout_seconds": 1.0, "share": 0.5}))
