from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.cli.times import parse_duration, parse_time, time_after

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("45m", 2700), ("2h", 7200), ("1d12h", 129600), ("1w", 604800), (" 1H 30M ", 5400)],
)
def test_a_duration_is_the_sum_of_its_parts(text: str, seconds: int) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "5", "soon", "-1h", "1.5h", "h", "0s", "0d0h", "1y", "999999999w"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"duration|long"):
        parse_duration(text)


@given(st.integers(0, 999), st.integers(0, 999), st.integers(0, 999), st.integers(1, 999))
def test_any_written_duration_is_read_back(days: int, hours: int, minutes: int, seconds: int) -> None:
    expected = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
    assert parse_duration(f"{days}d{hours}h{minutes}m{seconds}s") == expected


def test_a_time_without_a_zone_is_utc() -> None:
    assert parse_time("2030-01-31T18:00", NOW) == datetime(2030, 1, 31, 18, tzinfo=UTC)


def test_a_time_with_a_zone_becomes_utc() -> None:
    time = parse_time("2030-01-31T18:00+02:00", NOW)
    assert (time, time.tzinfo) == (datetime(2030, 1, 31, 16, tzinfo=UTC), UTC)


@pytest.mark.parametrize("text", ["2030-01-01T12:00", "2029-12-31", "2030-01-01T13:00+02:00"])
def test_the_past_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="in the past"):
        parse_time(text, NOW)


@pytest.mark.parametrize("text", ["", "tomorrow", "2030-13-01", "0001-01-01T00:00+23:00"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a time"):
        parse_time(text, NOW)


def test_a_time_after_the_end_of_the_calendar_is_refused() -> None:
    with pytest.raises(ValueError, match="too long"):
        time_after(timedelta(days=999_999_999), NOW)
