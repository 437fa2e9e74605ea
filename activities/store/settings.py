"""Task settings by digest: what activities look up, so that no history carries a configuration twice."""

from sqlalchemy import Connection, bindparam, select

from activities.store.database import Database
from activities.store.dialect import insert_absent
from activities.store.errors import SettingsUnknown
from activities.store.tables import settings as table
from apprentice.settings import TaskSettings

_get = select(table.c.settings).where(table.c.digest == bindparam("digest"))


class Settings:
    """Settings never change under their digest, so each process reads them once."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[str, TaskSettings] = {}

    async def put(self, settings: TaskSettings) -> str:
        """Store the settings; returns their digest. Storing them again changes nothing."""
        digest = settings.digest
        if digest not in self._known:
            row = {"digest": digest, "task": settings.name, "settings": settings.model_dump_json()}
            await self._database.write(lambda connection: insert_absent(connection, table, row))
            self._known[digest] = settings
        return digest

    async def get(self, digest: str) -> TaskSettings:
        """The settings with this digest. Raises SettingsUnknown."""
        if digest not in self._known:
            self._known[digest] = TaskSettings.model_validate_json(
                await self._database.read(lambda c: _load(c, digest))
            )
        return self._known[digest]

    async def all(self, task: str) -> list[TaskSettings]:
        """All settings that the task ever ran with, in no order."""
        query = select(table.c.settings).where(table.c.task == task)
        rows = await self._database.read(lambda connection: connection.execute(query).scalars().all())
        return [TaskSettings.model_validate_json(row) for row in rows]


def _load(connection: Connection, digest: str) -> str:
    found: str | None = connection.execute(_get, {"digest": digest}).scalar()
    if found is None:
        raise SettingsUnknown(digest)
    return found
