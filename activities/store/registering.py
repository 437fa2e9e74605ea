"""The activity `register_settings`."""

from temporalio import activity

from activities.store.store import Store
from apprentice.messages import Standing
from apprentice.settings import TaskSettings


class RegisterSettings:
    """Activities look settings up by digest; this puts them there, and says what else is there of the task."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @activity.defn(name="register_settings")
    async def register_settings(self, settings: TaskSettings) -> Standing:
        digest = await self._store.settings.put(settings)
        dataset = await self._store.examples.snapshot(settings.name, settings.schema_version)
        versions = await self._store.versions.all(settings.name)
        return Standing(
            settings_digest=digest,
            examples=dataset.train + dataset.holdout,
            holdout=dataset.holdout,
            last_version=max((version.version for version in versions), default=0),
        )
