"""The activity `register_settings`."""

from collections.abc import Callable
from datetime import datetime
from zoneinfo import ZoneInfo

from temporalio import activity

from activities.store.store import Store
from apprentice import gold, opinions
from apprentice.calendar import Calendar
from apprentice.messages import Standing
from apprentice.orders import known_version
from apprentice.settings import TaskSettings


class RegisterSettings:
    """Activities look settings up by digest; this puts them there, and says what else is there of the task."""

    def __init__(self, store: Store, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock

    @activity.defn(name="register_settings")
    async def register_settings(self, settings: TaskSettings) -> Standing:
        version = known_version(settings, await self._store.settings.all(settings.name))
        settings = settings.model_copy(update={"schema_version": version})
        digest = await self._store.settings.put(settings)
        dataset = await self._store.examples.snapshot(settings.name, version)
        versions = await self._store.versions.all(settings.name)
        zone, calendar = settings.budget.timezone, Calendar(settings.budget.timezone)
        labels = await self._store.feedback.labellings(settings.name, version)
        since = calendar.begins(calendar.oldest(self._clock()))
        spent = await self._store.journal.spend_by_day(since, ZoneInfo(zone), settings.name)
        return Standing(
            settings_digest=digest,
            examples=dataset.train + dataset.holdout + dataset.left_out,
            holdout=dataset.holdout,
            last_version=max((version.version for version in versions), default=0),
            last_batch=await self._store.batches.last(settings.name),
            schema_version=version,
            gold=gold.tally(labels, opinions.names(settings.remote)),
            spent={str(day.day): day.settled + day.unknown for day in spent},
        )
