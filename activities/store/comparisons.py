"""Every score of a local against a remote answer, once for each request."""

from datetime import datetime
from typing import Any

from activities.store.database import Database
from activities.store.dialect import insert_absent
from activities.store.tables import comparisons as table
from apprentice.messages import Comparison


class Comparisons:
    """The evidence behind the correlation, kept for audits; the workflow carries its own window."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record(
        self, task: str, request_id: str, comparison: Comparison, now: datetime, local: dict[str, Any] | None = None
    ) -> bool:
        """Store a comparison unless the request has one. True when it was new.

        `local` is what the local model said, where the store does not have it as the answer that was served.
        """
        row = comparison.model_dump() | {"task": task, "request_id": request_id, "created_at": now, "local": local}
        return await self._database.write(lambda connection: insert_absent(connection, table, row))
