"""Charts fit their room, draw gaps as gaps, and do without Unicode where there is none."""

from hypothesis import given
from hypothesis import strategies as st

from client.cli.charts import BLOCKS, chart, resample, sparkline

VALUES = st.lists(st.none() | st.floats(-1, 2), max_size=300)


@given(VALUES, st.integers(1, 120), st.integers(1, 12), st.sampled_from(["utf-8", "ascii", "latin-1", "no-such"]))
def test_a_chart_fills_exactly_its_room(values: list[float | None], width: int, height: int, encoding: str) -> None:
    lines = chart(values, width, height, encoding=encoding)
    assert [len(line) for line in lines] == ([width] * height if values else [])
    if encoding != "utf-8":
        assert all(line.isascii() for line in lines)


@given(VALUES, st.integers(1, 120))
def test_a_sparkline_is_never_wider_than_its_room(values: list[float | None], width: int) -> None:
    assert len(sparkline(values, width)) == min(width, len(values))


def test_a_rising_line_rises() -> None:
    assert chart([0.0, 0.5, 1.0], 3, 3, encoding="ascii") == ["  *", " * ", "*  "]
    assert sparkline([0.0, 0.5, 1.0], 3) == f"{BLOCKS[0]}{BLOCKS[3]}{BLOCKS[-1]}"


def test_braille_puts_eight_dots_into_a_character() -> None:
    assert chart([0.0, 1.0], 1, 1) == ["\u2878"]  # the jump is drawn: bottom left, then all of the right


def test_what_is_not_known_is_a_gap() -> None:
    assert sparkline([None, 1.0, None], 3) == f" {BLOCKS[-1]} "
    assert chart([None, 1.0], 2, 1, encoding="ascii") == [" *"]


def test_many_values_are_averaged_and_few_are_repeated() -> None:
    assert resample([0.0, 1.0, 0.5, 0.5], 2) == [0.5, 0.5]
    assert resample([0.0, 1.0], 4) == [0.0, 0.0, 1.0, 1.0]
    assert resample([], 4) == []


def test_no_room_is_no_chart() -> None:
    assert chart([1.0], 0, 5) == []
    assert chart([1.0], 5, 0) == []
