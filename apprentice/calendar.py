"""Days, weeks and months in a time zone: the periods that caps hold for."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from apprentice.messages import Period

PERIODS: tuple[Period, ...] = ("daily", "weekly", "monthly")


class Calendar:
    """Periods begin at midnight of the time zone: weeks on Monday, months on the first. Raises what ZoneInfo raises."""

    def __init__(self, timezone: str) -> None:
        self._zone = ZoneInfo(timezone)

    def day(self, now: datetime) -> date:
        """The day that it is."""
        return now.astimezone(self._zone).date()

    def key(self, period: Period, day: date) -> str:
        """Names the period that the day is in. Names sort as their periods do."""
        match period:
            case "daily":
                return day.isoformat()
            case "weekly":
                return (day - timedelta(days=day.weekday())).isoformat()
            case "monthly":
                return f"{day:%Y-%m}"

    def now(self, period: Period, now: datetime) -> str:
        """Names the current period."""
        return self.key(period, self.day(now))

    def resets(self, period: Period, now: datetime) -> datetime:
        """When the period after the current one begins, in UTC. Days of 23 and 25 hours come out right."""
        today = self.day(now)
        match period:
            case "daily":
                start = today + timedelta(days=1)
            case "weekly":
                start = today + timedelta(days=7 - today.weekday())
            case "monthly":
                start = (today.replace(day=28) + timedelta(days=4)).replace(day=1)
        return self.begins(start)

    def begins(self, day: date) -> datetime:
        """When the day begins, in UTC."""
        return datetime.combine(day, time(), self._zone).astimezone(UTC)

    def oldest(self, now: datetime) -> date:
        """The first day that still counts for a cap: of the current week or the current month."""
        today = self.day(now)
        return min(today - timedelta(days=today.weekday()), today.replace(day=1))
