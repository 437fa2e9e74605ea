"""The store: one place for everything that must outlive a process."""

from types import TracebackType
from typing import Self

from activities.store.batches import Batches
from activities.store.comparisons import Comparisons
from activities.store.database import Database, open_database
from activities.store.examples import Examples
from activities.store.feedback import Feedback
from activities.store.journal import Journal
from activities.store.opinions import Opinions
from activities.store.paces import Paces
from activities.store.settings import Settings
from activities.store.urls import parse_url
from activities.store.versions import Versions


class Store:
    """Settings, journal, examples, batches, comparisons, opinions, feedback, versions,
    paces. Of the loop that opened it.

    async with await Store.open("sqlite:///apprentice.db") as store:
        served = await store.journal.served("classify_ticket", "r-1")
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self.settings = Settings(database)
        self.journal = Journal(database)
        self.examples = Examples(database)
        self.batches = Batches(database)
        self.comparisons = Comparisons(database)
        self.opinions = Opinions(database)
        self.feedback = Feedback(database)
        self.versions = Versions(database)
        self.paces = Paces(database)

    @classmethod
    async def open(cls, url: str) -> Self:
        """Open the store and make what tables are missing. Raises StoreError, naming the URL without its password."""
        return cls(await open_database(parse_url(url)))

    async def close(self) -> None:
        """Finish what was asked and close. Closing twice is one close."""
        await self._database.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
