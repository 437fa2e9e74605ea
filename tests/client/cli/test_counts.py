"""Numbers of things, as they are told."""

import pytest

from client.cli.counts import counted


@pytest.mark.parametrize(("number", "told"), [(0, "0 rows"), (1, "1 row"), (2, "2 rows"), (1234, "1,234 rows")])
def test_only_one_is_one(number: int, told: str) -> None:
    assert counted(number, "row") == told
