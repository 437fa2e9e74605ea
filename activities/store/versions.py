"""What became of each model version."""

from sqlalchemy import Connection, select, update

from activities.store.database import Database
from activities.store.dialect import insert_absent
from activities.store.tables import versions as table
from apprentice.messages import VersionStatus


class Versions:
    """One row for each task and version, with its newest status."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, task: str, status: VersionStatus) -> None:
        """Store the status of a version in place of the one before."""
        await self._database.write(lambda connection: _put(connection, task, status))

    async def all(self, task: str) -> list[VersionStatus]:
        """All versions of a task, oldest first."""
        query = select(table.c.status).where(table.c.task == task).order_by(table.c.version)
        rows = await self._database.read(lambda connection: connection.execute(query).scalars().all())
        return [VersionStatus.model_validate_json(row) for row in rows]


def _put(connection: Connection, task: str, status: VersionStatus) -> None:
    values = {"state": status.state, "status": status.model_dump_json()}
    if not insert_absent(connection, table, {"task": task, "version": status.version} | values):
        key = (table.c.task == task) & (table.c.version == status.version)
        connection.execute(update(table).where(key), values)
