"""What every batch API is."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol

from activities.remote.errors import RemoteError
from activities.remote.model import Question
from apprentice.messages import Answer

# A clock of ours and one of a provider may differ by so much when we look for a batch that we may have sent.
CLOCKS_DIFFER_SECONDS = 300.0


class Undecided(RemoteError):
    """Whether a batch is ours cannot be told yet."""

    retryable = True
    charged = True

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class BatchState:
    """`done`: nothing more will come of it. `failed` says why there are no results at all, in words."""

    done: bool
    failed: str | None = None


@dataclass(frozen=True, slots=True)
class Sending:
    """A batch on its way: `marker` names it among all that were ever sent with this account.

    `begun` is when the first attempt to send it began, `taken` the provider's names of batches that are others' for
    certain.
    """

    marker: str
    questions: Sequence[Question]
    begun: datetime
    taken: frozenset[str] = frozenset()


class BatchApi(Protocol):
    """One provider's, for one task. Tries each call once and raises RemoteError; retrying is the caller's work."""

    async def submit(self, sending: Sending) -> str:
        """Send the questions; the provider's name of the batch.

        TimedOut and other `charged` errors: it may be there all the same, `find` says.
        """
        ...

    async def find(self, sending: Sending) -> str | None:
        """The batch if an earlier attempt did send it, else None. Raises Undecided while nobody can know."""
        ...

    async def look(self, id: str) -> BatchState:
        """How far it is."""
        ...

    async def cancel(self, id: str) -> None:
        """Ask for its end; what was answered by then is paid, and among the results."""
        ...

    def results(self, id: str, questions: Sequence[Question]) -> AsyncIterator[tuple[str, Any]]:
        """Of a batch that is done: the key of each question, and its response (for `answer`), or the RemoteError that
        it got, which cost nothing. Questions may be missing: they were not answered, and cost nothing."""
        ...

    def answer(self, response: Any, limit: Decimal) -> Answer:
        """The answer in a response, at the batch price; `limit` is the price of one that does not say its tokens.

        Raises Unusable: paid, and no answer; another RemoteError: it says that it failed, and cost nothing.
        """
        ...
