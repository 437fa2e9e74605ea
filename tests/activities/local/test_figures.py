"""Numbers as people write them."""

import pytest

from activities.local.embedded.figures import figures, read_figure


@pytest.mark.parametrize(
    ("text", "value"),
    [("1,200", 1200), ("12.50", 12.5), ("-3", -3), ("Seven", 7), ("twenty-five", 25), ("twenty five", 25), ("0", 0)],
)
def test_a_number_is_read(text: str, value: float) -> None:
    assert read_figure(text) == value


@pytest.mark.parametrize("text", ["", "x", "1 2", "sevenish", "1,2,3", "12.5.1"])
def test_what_is_no_number_is_not(text: str) -> None:
    assert read_figure(text) is None


def test_all_numbers_of_a_text_are_found_where_they_stand() -> None:
    text = "Two of us, 1,250.75 dollars, room 12"
    assert [(text[begin:end], value) for begin, end, value in figures(text)] == [
        ("Two", 2),
        ("1,250.75", 1250.75),
        ("12", 12),
    ]
