"""What a simulation amounts to."""

from datetime import datetime
from decimal import Decimal
from typing import Self

from apprentice.lifecycle import Lifecycle
from apprentice.messages import Interval, Message, Money, Phase, Score, TaskStatus


class Forecast(Message):
    """How a task would have gone.

    `agreement` is the mean score of everything that was served against the recorded outputs, `local_agreement` of
    what the local model served; None where nothing was. Money is in `currency`; `all_remote` is the exact cost of
    asking the remote model every time. `failed` requests got no answer and count in no agreement.
    """

    task: str
    requests: int
    phase: Phase
    explanation: str
    correlation: Interval | None
    sampling_rate: float
    local: int
    degraded: int
    deferred: int
    failed: int
    remote_calls: int
    fine_tunes: int
    version: int | None
    agreement: Score | None
    local_agreement: Score | None
    currency: str
    spend: Money
    all_remote: Money

    @property
    def local_share(self) -> float:
        """Share of all requests that the local model served, in [0, 1]."""
        return self.local / self.requests if self.requests else 0.0

    @classmethod
    def of_status(
        cls,
        status: TaskStatus,
        *,
        agreement: float | None,
        local_agreement: float | None,
        remote_calls: int,
        fine_tunes: int,
        all_remote: Decimal | None = None,
    ) -> Self:
        """A task's own account, with what it cannot know; `all_remote` None leaves the task's own estimate."""
        same = {name: getattr(status, name) for name in cls.model_fields if name in TaskStatus.model_fields}
        known = {"all_remote": all_remote} if all_remote is not None else {}
        return cls(
            **(same | known),
            agreement=agreement,
            local_agreement=local_agreement,
            remote_calls=remote_calls,
            fine_tunes=fine_tunes,
        )


class Tally:
    """Adds up what only a simulation knows: the right answer to every request, and what it would have cost."""

    def __init__(self) -> None:
        self._served = self._local = 0
        self._agreed = self._local_agreed = 0.0
        self._all_remote = Decimal(0)

    def add(self, *, local: bool, agreement: float | None, remote_cost: Decimal) -> None:
        """Count a request; `agreement` is None where nothing was served."""
        self._all_remote += remote_cost
        if agreement is None:
            return
        self._served += 1
        self._agreed += agreement
        self._local += local
        self._local_agreed += agreement if local else 0.0

    def forecast(self, brain: Lifecycle, now: datetime) -> Forecast:
        """The sums beside the brain's own account."""
        return Forecast.of_status(
            brain.status(now),
            agreement=self._agreed / self._served if self._served else None,
            local_agreement=self._local_agreed / self._local if self._local else None,
            remote_calls=brain.state.remote_calls,
            fine_tunes=brain.state.fine_tunes,
            all_remote=self._all_remote,
        )
