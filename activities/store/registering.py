"""The activity `register_settings`."""

from temporalio import activity

from activities.store.store import Store
from apprentice.settings import TaskSettings


class RegisterSettings:
    """Activities look settings up by digest; this puts them there."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @activity.defn(name="register_settings")
    async def register_settings(self, settings: TaskSettings) -> str:
        return await self._store.settings.put(settings)
