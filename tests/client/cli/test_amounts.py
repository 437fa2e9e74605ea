"""Money as one types it."""

import pytest

from client.cli.amounts import parse_amount, parse_cap


def test_an_amount_is_exactly_what_is_typed() -> None:
    assert str(parse_amount(" 0.10 ")) == "0.10"


@pytest.mark.parametrize("text", ["none", "None", " no "])
def test_none_is_no_cap_and_no_amount(text: str) -> None:
    assert parse_cap(text) is None
    with pytest.raises(ValueError, match="expected an amount"):
        parse_amount(text)


@pytest.mark.parametrize("text", ["ten", "-1", "NaN", "Infinity", "1,5", "$3", "1e999"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected an amount"):
        parse_cap(text)
