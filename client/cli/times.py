"""Durations and times as one types them."""

from datetime import UTC, datetime, timedelta

from pydantic import TypeAdapter, ValidationError

from apprentice.settings import Duration

_DURATION: TypeAdapter[timedelta] = TypeAdapter(Duration)


def parse_duration(text: str) -> timedelta:
    """As in the configuration: `90s`, `45m`, `2h`, `1d12h`, `1w`; longer than nothing. Raises ValueError."""
    try:
        return _DURATION.validate_python(text.lower())
    except (ValidationError, OverflowError):
        raise ValueError(f"expected a duration such as 45m, 2h or 1d12h, got {text!r}") from None


def parse_time(text: str, now: datetime) -> datetime:
    """ISO 8601, UTC unless it says otherwise, after `now`. Raises ValueError."""
    try:
        time = datetime.fromisoformat(text.strip())
        time = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(
            f"expected a time such as 2030-01-31T18:00 (UTC) or 2030-01-31T18:00+01:00, got {text!r}"
        ) from None
    if time <= now:
        raise ValueError(f"{time:%Y-%m-%d %H:%M:%S} UTC is in the past")
    return time


def time_after(duration: timedelta, now: datetime) -> datetime:
    """`now` + `duration`. Raises ValueError if no calendar reaches that far."""
    try:
        return now + duration
    except OverflowError:
        raise ValueError("that is too long a time") from None
